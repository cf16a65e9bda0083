import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { currentContext } from "../logging/context.ts";
import type { CloudSql } from "./cloud-sql.ts";
import { isPoolExhausted, isUnreachable, poolExhausted, Unreachable } from "./errors.ts";
import type { Pool } from "./pool.ts";

/** What is left of a request's time when connecting is given up: the answer must be out before the deadline. */
const MARGIN_MS = 500;
/** For work that no request waits for; and for the one attempt of who is not patient. */
const BACKGROUND_MS = 10_000;
const ONCE_MS = 5_000;
const MAX_PAUSE_MS = 2_000;
/** After the first failure the connector renews its certificate by itself. */
const RENEW_AFTER = 3;
/** Failures of the network, as before direct VPC is there: a new certificate does not help. */
const NETWORK = /ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timeout/;

/** Milliseconds to wait after so many failures in a row: twice as long each time, half of it by chance. */
export function pauseAfter(failures: number): number {
  return Math.min(MAX_PAUSE_MS, 25 * 2 ** failures) * (0.5 + Math.random() / 2);
}

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
  /** Whether one waits for connections that other requests use. */
  isFull(): boolean;
}

/** Patience with Cloud SQL, whose first connection over direct VPC can take a minute. */
export function patienceWith({ ready, renew }: Pick<CloudSql, "ready" | "renew">): Patience {
  async function connect<T>({ attempt, late, patient, isFull }: Wish<T>): Promise<T> {
    const end = patient ? endOfPatience() : performance.now() + ONCE_MS;
    let last: unknown;
    const outOfTime = () => (isFull() ? poolExhausted() : new Unreachable(last));
    for (let failures = 1; ; failures++) {
      try {
        return await within(end - performance.now(), ready().then(attempt), late, outOfTime);
      } catch (error) {
        if (isFinal(error, isFull())) throw error;
        last = error;
      }
      const pause = pauseAfter(failures);
      if (!patient || performance.now() + pause >= end) throw new Unreachable(last);
      if (failures >= RENEW_AFTER && !isOfNetwork(last)) renew();
      await delay(pause);
    }
  }

  return {
    pool(own) {
      let used = 0;
      own.on("acquire", () => used++);
      own.on("release", () => used--);
      const wish: Wish<pg.PoolClient> = {
        attempt: () => own.connect(),
        late: (client) => client.release(),
        patient: true,
        isFull: () => used > 0 && own.totalCount >= own.options.max,
      };
      // An idle one is there at once: no timer for it.
      const patient = () => (own.idleCount > own.waitingCount ? own.connect() : connect(wish));
      return { connect: patient, query: (statement: never, values?: unknown[]) => query(patient, statement, values) };
    },
    client: (attempt, patient) =>
      connect({ attempt, late: (client) => void client.end().catch(() => {}), patient, isFull: () => false }),
  };
}

function endOfPatience(): number {
  const deadline = currentContext()?.deadline;
  return deadline === undefined ? performance.now() + BACKGROUND_MS : deadline - MARGIN_MS;
}

function isFinal(error: unknown, isFull: boolean): boolean {
  return isPoolExhausted(error) ? isFull : error instanceof Unreachable || !isUnreachable(error);
}

function isOfNetwork(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
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
    timer = setTimeout(() => {
      work.then(late, () => {});
      reject(outOfTime());
    }, milliseconds);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}
