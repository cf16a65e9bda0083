import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { patienceWith } from "../../../shared/db/patience.ts";
import { runWithContext } from "../../../shared/logging/context.ts";

const ATTEMPT_MS = 300;

/** A pool of one connection, of which the first attempts so many times hang; and how often it was tried. */
function poolOfOne(hanging: number) {
  let attempts = 0;
  class Client extends EventEmitter {
    _queryable = true;
    connection = { stream: { destroy: () => {} } };
    connect(done: (error?: Error) => void) {
      if (++attempts > hanging) setImmediate(done);
      else this.connection.stream.destroy = () => done(new Error("destroyed"));
    }
    end = (done = () => {}) => done();
  }
  const own = new pg.Pool({ max: 1, connectionTimeoutMillis: ATTEMPT_MS, Client: Client as never });
  onTestFinished(() => own.end());
  const patience = patienceWith({ ready: async () => {}, renew: () => {} });
  return { ...patience.pool(own), attempts: () => attempts };
}

/** As a request that has so many milliseconds. */
function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const request = { requestId: "r", functionName: "f", statements: 0, databaseMilliseconds: 0 };
  return runWithContext({ ...request, deadline: performance.now() + ms }, work);
}

test("who waits behind an attempt that nobody wants any more is not refused as if others had all connections", async () => {
  // The pool goes on with the second one, although both requests have been told that the first was in vain.
  const pool = poolOfOne(2);
  const hold = async () => {
    const client = await pool.connect();
    await delay(ATTEMPT_MS);
    client.release();
  };
  await within(5_000, () => Promise.all([hold(), hold()]));
  expect(pool.attempts()).toBe(3);
});

test("who waits for a connection that another has in use is refused when its time for that is over", async () => {
  const pool = poolOfOne(0);
  const client = await pool.connect();
  await delay(5);
  await expect(within(5_000, () => pool.connect())).rejects.toThrow("timeout exceeded when trying to connect");
  client.release();
  (await within(5_000, () => pool.connect())).release();
  expect(pool.attempts()).toBe(1);
});
