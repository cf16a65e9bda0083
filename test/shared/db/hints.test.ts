import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createHints, type Hints } from "../../../shared/db/hints.ts";
import { createLogger } from "../../../shared/logging/index.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
let pool: pg.Pool;
const log = createLogger({ level: "ERROR", transport: "console", format: "json" });
const open: Hints[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  await Promise.all(open.splice(0).map((hints) => hints.close()));
});

/** One process's hints; `listeners` counts its open listening connections. */
function hintsOfAProcess(lingerMs = 0) {
  let listeners = 0;
  const client = async () => {
    const connection = new pg.Client({ connectionString: database.url, application_name: "listener" });
    await connection.connect();
    listeners += 1;
    connection.once("end", () => (listeners -= 1));
    return connection;
  };
  const hints = createHints({ pool: () => pool, client, log, lingerMs });
  open.push(hints);
  return { hints, listeners: () => listeners };
}

const never = new AbortController().signal;

/** Waits for something that is there from `set` on; answers how long it took to notice. */
function waiterOn(hints: Hints, topic: string, seconds = 5) {
  let there = false;
  let attempts = 0;
  let setAt = 0;
  const noticed = hints
    .waitFor(topic, seconds, never, async () => {
      attempts += 1;
      return there ? true : undefined;
    })
    .then((found) => ({ found, milliseconds: performance.now() - setAt }));
  return {
    noticed,
    attempts: () => attempts,
    set() {
      there = true;
      setAt = performance.now();
    },
  };
}

test("a hint of the same process wakes at once", async () => {
  const { hints } = hintsOfAProcess();
  const waiter = waiterOn(hints, "a");
  await delay(100);
  waiter.set();
  hints.publish("a");
  expect((await waiter.noticed).milliseconds).toBeLessThan(100);
});

test("a hint of another process wakes within 100 ms", async () => {
  const waiter = waiterOn(hintsOfAProcess().hints, "a");
  await delay(200);
  waiter.set();
  hintsOfAProcess().hints.publish("a");
  expect((await waiter.noticed).milliseconds).toBeLessThan(100);
});

test("many topics at once all arrive, in as many notifications as they need", async () => {
  const { hints } = hintsOfAProcess();
  const topics = Array.from({ length: 300 }, (_, n) => `topic-${n}-${"x".repeat(100)}`);
  const waiters = topics.map((topic) => waiterOn(hints, topic));
  await delay(200);
  const sender = hintsOfAProcess().hints;
  for (const [n, topic] of topics.entries()) {
    waiters[n]?.set();
    sender.publish(topic);
  }
  for (const { noticed } of waiters) expect((await noticed).milliseconds).toBeLessThan(500);
});

test("a hint for another topic wakes nobody", async () => {
  const { hints } = hintsOfAProcess();
  const waiter = waiterOn(hints, "a", 1);
  await delay(200);
  const before = waiter.attempts();
  hints.publish("b");
  await delay(100);
  expect(waiter.attempts()).toBe(before);
  expect((await waiter.noticed).found).toBeUndefined();
});

test("what no hint announces is found by asking", async () => {
  const { hints } = hintsOfAProcess();
  const waiter = waiterOn(hints, "a");
  await delay(100);
  waiter.set();
  expect((await waiter.noticed).milliseconds).toBeLessThan(2_500);
});

test("one listening connection for all waiters, opened by the first and closed before the last is answered", async () => {
  const { hints, listeners } = hintsOfAProcess();
  expect(await hints.waitFor("a", 5, never, async () => true)).toBe(true);
  expect(listeners(), "nobody waited").toBe(0);
  const waiters = Array.from({ length: 50 }, (_, n) => waiterOn(hints, `topic-${n % 5}`));
  await delay(200);
  expect(listeners()).toBe(1);
  for (const waiter of waiters) waiter.set();
  for (let n = 0; n < 5; n++) hints.publish(`topic-${n}`);
  for (const { noticed } of waiters) await noticed;
  expect(listeners()).toBe(0);
});

test("a listening connection that is lost is opened again", async () => {
  const { hints, listeners } = hintsOfAProcess();
  const waiter = waiterOn(hints, "a", 20);
  await delay(200);
  await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener'");
  await expect.poll(listeners, { timeout: 4_000 }).toBe(0);
  await expect.poll(listeners, { timeout: 4_000 }).toBe(1);
  await delay(100);
  waiter.set();
  hintsOfAProcess().hints.publish("a");
  expect((await waiter.noticed).milliseconds).toBeLessThan(100);
});

test("an aborted wait ends at once", async () => {
  const { hints } = hintsOfAProcess();
  const controller = new AbortController();
  const start = performance.now();
  const waiting = hints.waitFor("a", 20, controller.signal, async () => undefined);
  setTimeout(() => controller.abort(), 100);
  expect(await waiting).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(10_000);
});
