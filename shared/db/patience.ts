import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { currentContext } from "../logging/context.ts";
import { pauseAfter } from "./back-off.ts";
import type { CloudSql } from "./cloud-sql.ts";
import { isPoolExhausted, isUnreachable, poolExhausted, Unreachable } from "./errors.ts";
import type { Pool } from "./pool.ts";

/** What is left of a request's time when connecting is given up: the answer must be out before the deadline. */
const MARGIN_MS = 500;
/** For work that no request waits for; and for the one attempt of who is not patient. */
const BACKGROUND_MS = 10_000;
const ONCE_MS = 5_000;
/** Who comes so soon after a failed attempt does not begin with another one. */
const RECENTLY_MS = 1_000;
/** After the first failure the connector renews its certificate by itself. */
const RENEW_AFTER = 3;
/** Failures of the network, as before direct VPC is there: a new certificate does not help. */
const NETWORK = /ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timeout/;

/** Connects with patience: a failed attempt is repeated with back-off, within the deadline of the request it is for. */
export interface Patience {
  /** A pool that waits so for its new connections; never is a statement repeated that was sent. */
  pool(own: pg.Pool): Pool;
  /** A single connection; `patient` or else one attempt. */
  client(connect: () => Promise<pg.Client>, patient: boolean): Promise<pg.Client>;
}

interface Wish<T> {
  attempt(): Promise<T>;
  /** Takes a connection that comes after it was given up. */
  late(connected: T): void;
  patient: boolean;
  /** Whether others have had all the connections in use since then. */
  isFull(since: number): boolean;
  /** Whether there is one to be had without connecting. */
  isThere(): boolean;
}

/** Patience with Cloud SQL, whose first connection over direct VPC can take a minute. */
export function patienceWith({ ready, renew }: Pick<CloudSql, "ready" | "renew">): Patience {
  /** When connecting failed last, for whomever; and how, which is forgotten as soon as it succeeds. */
  let failedAt = Number.NEGATIVE_INFINITY;
  let failure: unknown;

  /** 80 requests that wait are no reason to knock 80 times: what another has just tried in vain was tried for all. */
  function hasFailed(since: number): boolean {
    return failure !== undefined && failedAt >= since;
  }

  /** One attempt; undefined when it failed in a way that may pass. */
  async function once<T>(wish: Wish<T>, since: number, milliseconds: number, last: unknown): Promise<T | undefined> {
    if (hasFailed(since) && !wish.isThere()) return undefined;
    const begin = performance.now();
    const awaited = isAwaited();
    // Who has gone while a certificate was brought is not connected for.
    const attempt = () => {
      if (awaited && !isAwaited()) throw new Unreachable(last);
      return wish.attempt();
    };
    const outOfTime = () => (wish.isFull(begin) ? poolExhausted() : new Unreachable(last));
    try {
      const connected = await within(milliseconds, ready().then(attempt), wish.late, outOfTime);
      failure = undefined;
      return connected;
    } catch (error) {
      if (isFinal(error, wish.isFull(begin))) throw error;
      failedAt = performance.now();
      failure = error;
      return undefined;
    }
  }

  async function connect<T>(wish: Wish<T>): Promise<T> {
    const end = endOfPatience(wish.patient);
    let since = performance.now() - RECENTLY_MS;
    let last: unknown;
    for (let failures = 1; ; failures++) {
      const connected = await once(wish, since, end - performance.now(), last);
      if (connected !== undefined) return connected;
      last = failure ?? last;
      const pause = pauseAfter(failures);
      if (!wish.patient || performance.now() + pause >= end) throw new Unreachable(last);
      if (failures >= RENEW_AFTER && !isOfNetwork(last)) renew();
      since = performance.now();
      await delay(pause);
      if (!isAwaited()) throw new Unreachable(last);
    }
  }

  return {
    pool(own) {
      let used = 0;
      let connectedAt = Number.NEGATIVE_INFINITY;
      own.on("connect", () => {
        connectedAt = performance.now();
      });
      own.on("acquire", () => used++);
      own.on("release", () => used--);
      const wish: Wish<pg.PoolClient> = {
        attempt: () => own.connect(),
        late: (client) => client.release(),
        patient: true,
        // A pool goes on with an attempt of 5 s whose requester has gone: who waits behind it waits for no other request.
        isFull: (since) => used >= own.options.max && connectedAt < since,
        isThere: () => own.idleCount > own.waitingCount,
      };
      // An idle one is there at once: no timer for it.
      const patient = () => (wish.isThere() ? own.connect() : connect(wish));
      return { connect: patient, query: (statement: never, values?: unknown[]) => query(patient, statement, values) };
    },
    client: (attempt, patient) =>
      connect({
        attempt,
        late: (client) => void client.end().catch(() => {}),
        patient,
        isFull: () => false,
        isThere: () => false,
      }),
  };
}

function endOfPatience(patient: boolean): number {
  const { deadline } = currentContext() ?? {};
  if (!patient) return performance.now() + ONCE_MS;
  if (deadline === undefined) return performance.now() + BACKGROUND_MS;
  // What goes on behind the answer, as the recording of what was delivered, has one attempt.
  return isAwaited() ? deadline - MARGIN_MS : performance.now() + ONCE_MS;
}

/** Whether somebody waits for it: the caller is still there, and the process not about to end. */
function isAwaited(): boolean {
  return currentContext()?.visit?.aborted !== true;
}

function isFinal(error: unknown, isFull: boolean): boolean {
  return isPoolExhausted(error) ? isFull : error instanceof Unreachable || !isUnreachable(error);
}

function isOfNetwork(error: unknown): boolean {
  const { code, message } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return NETWORK.test(`${code} ${message}`);
}

/** One statement on a pool's connection, as a pool's own `query`. */
async function query(connect: Pool["connect"], statement: never, values?: unknown[]) {
  const client = await connect();
  try {
    const result = await client.query(statement, values);
    client.release();
    return result;
  } catch (error) {
    // A statement that failed leaves its connection whole: a new one costs 10 ms of TLS.
    client.release(isUnreachable(error) ? (error as Error) : undefined);
    throw error;
  }
}

/** Waits for `work` at most so many milliseconds; what comes later goes to `late`. */
async function within<T>(
  milliseconds: number,
  work: Promise<T>,
  late: (value: T) => void,
  outOfTime: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        work.then(late, () => {});
        reject(outOfTime());
      },
      Math.max(0, milliseconds),
    );
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}
