import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { Problem } from "../errors.ts";

/** An answer that comes in pieces, for as long as its caller stays. */
export type Pieces = AsyncIterable<string>;

/** What comes in pieces: the API Gateway passes an answer on only when it is whole. */
const STREAM = /^text\/event-stream\b/;

/** Whether an endpoint's answer comes in pieces. */
export function streams({ contentType }: { contentType?: string }): boolean {
  return STREAM.test(contentType ?? "");
}

/** Whether an answer's body comes in pieces. */
export function isPieces(body: unknown): body is Pieces {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

const LIMITS = {
  /** A reader that takes nothing for so long is given up; pieces come more often than that. */
  stalledMs: 30_000,
  /** How long the pieces' source has to let go of what it holds, a listening connection, before the answer is ended. */
  leaveMs: 300,
  /** What is then still on its way to a slow reader has this long. */
  endMs: 500,
};
/** Who calls is asked again with the first piece after so long. */
const ASK_MS = 5_000;
/** So long it may stay untold, because the database does not answer, before the stream is cut off. */
const UNTOLD_MS = 60_000;

/**
 * Writes pieces as their reader takes them: none is asked for while the last one is on its way. Once `signal` aborts the
 * answer is ended as if there were no more. `res` has its head already.
 */
export async function pour(res: ServerResponse, pieces: Pieces, signal: AbortSignal, limits = LIMITS): Promise<void> {
  const timers: NodeJS.Timeout[] = [];
  const later = (ms: number, act: () => void) => void timers.push(setTimeout(act, ms).unref());
  const end = () => {
    if (res.writableEnded || res.destroyed) return;
    res.end();
    later(limits.endMs, () => res.destroy());
  };
  const onAbort = () => later(limits.leaveMs, end);
  res.once("close", () => timers.forEach(clearTimeout));
  res.setTimeout(limits.stalledMs, () => void res.destroy());
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const piece of pieces) {
      if (signal.aborted) break;
      if (!res.write(piece)) await once(res, "drain", { signal }).catch(() => undefined);
      if (signal.aborted) break;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  end();
}

/** Passes pieces on, and now and then asks before a piece whether the caller may still have it: `ask` throws if not. */
export async function* whileAllowed(
  pieces: Pieces,
  ask: () => Promise<void>,
  everyMs = ASK_MS,
): AsyncGenerator<string> {
  let asked = performance.now();
  for await (const piece of pieces) {
    const since = performance.now() - asked;
    if (since >= everyMs && (await mayBe(ask, since))) asked = performance.now();
    yield piece;
  }
}

/** Asks; false when it cannot be told now, which is no reason to send everybody away at once. */
async function mayBe(ask: () => Promise<void>, sinceMs: number): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (error instanceof Problem && error.status === 503 && sinceMs < UNTOLD_MS) return false;
    throw error;
  }
}
