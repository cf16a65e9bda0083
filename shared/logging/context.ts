import { AsyncLocalStorage } from "node:async_hooks";

/** Where a request stands in a distributed trace (W3C Trace Context); `spanId` is ours, the parent's the caller's. */
export interface Trace {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  sampled: boolean;
}

/** What is known of the request being served; whoever learns more, or runs a statement, writes it here. */
export interface RequestContext {
  requestId: string;
  functionName: string;
  trace?: Trace;
  principal?: string;
  address?: string;
  /** When its answer must be out, on the clock of `performance.now()`. */
  deadline?: number;
  /** Aborted when nobody waits for the answer any more. */
  visit?: { readonly aborted: boolean };
  statements: number;
  databaseMilliseconds: number;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs `fn`, and all it awaits or starts, as part of one request. */
export function runWithContext<T>(context: RequestContext, fn: () => T): T {
  return storage.run(context, fn);
}

/** The request this code runs for, or nothing outside of one. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}
