import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { type Block, figures, follow, HINT, INSERT, publish, type RawFollower } from "./followers.ts";

const service = useService();

/** Numbers from 0 below 1, the same in every run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Publishes in transactions that overlap, and commit or roll back late and out of order. */
async function publishAtOnce(publisher: number, transactions: number): Promise<string[]> {
  const next = chance(publisher);
  const client = new pg.Client(service.databaseUrl);
  await client.connect();
  const committed: string[] = [];
  for (let n = 0; n < transactions; n++) {
    const types: string[] = [];
    await client.query("begin");
    for (let part = 0; part <= next() * 4; part++) {
      const type = `p${publisher}.t${n}.e${part}`;
      await client.query(INSERT, [[type], 10]);
      types.push(type);
      if (next() < 0.5) await delay(next() * 15);
    }
    const isKept = next() < 0.9;
    await client.query(isKept ? "commit" : "rollback");
    if (isKept) committed.push(...types);
    if (isKept && next() < 0.7) await client.query(HINT);
  }
  await client.end();
  return committed;
}

const transactionOf = ({ id = "" }: Block) => BigInt(id.split("-")[1] ?? 0);
const seqOf = ({ id = "" }: Block) => Number(id.split("-")[2]);

/** Follows and is cut off again and again; `lived` says for how many milliseconds. Answers the blocks with events. */
async function followInPieces(first: RawFollower, until: Promise<number>, lived: () => number): Promise<Block[]> {
  const seen: Block[] = [];
  let expected = Number.POSITIVE_INFINITY;
  void until.then((count) => {
    expected = count;
  });
  let { lastId, blocks, destroy } = first;
  let id = lastId() as string;
  for (let rounds = 0; rounds < 2000; rounds++) {
    await delay(lived());
    destroy();
    seen.push(...blocks.filter(({ data }) => data));
    id = lastId() ?? id;
    if (seen.length >= expected) break;
    ({ lastId, blocks, destroy } = await follow(service.url, {}, { "last-event-id": id }));
  }
  return seen;
}

test("followers that are cut off at random see every event once and in order, however late it was committed", async () => {
  const publishers = Array.from({ length: 8 }, (_, n) => n);
  // All of them before the first event: they begin with what is published from then on.
  const [steady, ...cut] = await Promise.all(Array.from({ length: 5 }, () => follow(service.url)));
  const published = Promise.all(publishers.map((publisher) => publishAtOnce(publisher, 60)));
  const count = published.then((types) => types.flat().length);
  const followers = cut.map((first, n) => {
    const next = chance(100 + n);
    return followInPieces(first, count, () => next() * 60);
  });
  const committed = (await published).flat();
  for (const seen of await Promise.all(followers)) {
    expect(seen.map(({ data }) => data.type).toSorted()).toEqual(committed.toSorted());
    for (const [n, block] of seen.entries()) {
      const before = seen[n - 1];
      if (!before || transactionOf(before) < transactionOf(block)) continue;
      expect(transactionOf(block)).toBe(transactionOf(before));
      expect(seqOf(block)).toBeGreaterThan(seqOf(before));
    }
  }
  await expect.poll(() => steady?.types().toSorted(), { timeout: 20_000 }).toEqual(committed.toSorted());
}, 60_000);

test("an event behind an unfinished transaction is known to be held back, and comes soon after its end, which nothing announces", async () => {
  const follower = await follow(service.url);
  const slow = new pg.Client(service.databaseUrl);
  await slow.connect();
  await slow.query("begin");
  await slow.query(INSERT, [["late"], 0]);
  await publish(service, ["early"]);
  const before = await figures(service);
  await delay(1000);
  expect(follower.types()).toEqual([]);
  const after = await figures(service);
  // By the clock it is read once in two seconds.
  expect(after.reads - before.reads).toBeGreaterThan(2);
  expect(after.heldBack - before.heldBack).toBeGreaterThan(0.9);
  await slow.query("commit");
  await expect.poll(follower.types, { interval: 5, timeout: 20_000 }).toEqual(["late", "early"]);
  // Other databases of the server have their transactions too.
  await expect.poll(async () => (await figures(service)).heldBack, { timeout: 20_000 }).toBe(0);
  await slow.end();
});

test("whoever comes back after it was held back for longer than any request may take misses nothing", async () => {
  const held = new pg.Client(service.databaseUrl);
  await held.connect();
  await held.query("begin");
  await held.query("select pg_current_xact_id()");
  const first = await follow(service.url);
  const [at, transaction, seq] = (first.lastId() as string).split("-");
  first.destroy();
  // As if both had been twelve minutes ago.
  const longAgo = INSERT.replace("select event_id, now()", "select event_id, now() - interval '11 minutes 50 s'");
  await service.sql(longAgo, [["held.back"], 0]);
  const id = `${Number(at) - 12 * 60_000}-${transaction}-${seq}`;
  const again = await follow(service.url, {}, { "last-event-id": id });
  await held.query("commit");
  await held.end();
  await expect.poll(again.types, { timeout: 20_000 }).toEqual(["held.back"]);
});

test("what is held back for hours is known to be", async () => {
  const slow = new pg.Client(service.databaseUrl);
  await slow.connect();
  await slow.query("begin");
  await slow.query("select pg_current_xact_id()");
  await publish(service, ["early"]);
  await service.sql("update cams.events set published_at = published_at - interval '1 hour'");
  expect((await figures(service)).heldBack).toBeGreaterThanOrEqual(3_600);
  await slow.query("rollback");
  await slow.end();
});
