import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type Service, startService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { insertInboxes } from "./rows.ts";

/** Longest that an answer may take after the send that it waited for. */
const PROMPT_MS = 100;

let database: TestDatabase;
let service: Service;
let other: Service;
let calls: ReturnType<typeof callsFor>;
let elsewhere: ReturnType<typeof callsFor>;

beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ DB_POOL_SIZE: "2" }, database);
  other = await startService({}, database);
  calls = callsFor(service);
  elsewhere = callsFor(other);
});
afterAll(async () => {
  await service.close();
  await other.close();
  await database.drop();
});
beforeEach(async () => {
  await service.sql("delete from cams.messages; delete from cams.agent_inboxes");
});

const everybodyWaits = (requests: number) =>
  expect.poll(calls.waiting, { interval: 5, timeout: 10_000 }).toBe(requests);

/** How long after the send a request that waits has its answer: the median of several. */
async function medianDelay(send: (address: string) => Promise<unknown>): Promise<number> {
  const { aiAgentAddress } = await calls.inbox();
  const delays: number[] = [];
  for (let round = 0; round < 20; round++) {
    const waiting = calls
      .pulled(aiAgentAddress, { waitSeconds: 20 })
      .then(({ body }) => ({ body, at: performance.now() }));
    await everybodyWaits(1);
    const sent = performance.now();
    await send(aiAgentAddress);
    const { body, at } = await waiting;
    expect(body.messages).toHaveLength(1);
    delays.push(at - sent);
    await calls.ack(aiAgentAddress, body.messages[0].leaseToken);
  }
  return delays.toSorted((a, b) => a - b)[10] as number;
}

describe("waitSeconds", () => {
  test("the answer comes promptly after a send to the same process", async () => {
    expect(await medianDelay((recipientAddress) => calls.message({ recipientAddress }))).toBeLessThan(PROMPT_MS);
  });

  test("the answer comes promptly after a send to another process", async () => {
    expect(await medianDelay((recipientAddress) => elsewhere.message({ recipientAddress }))).toBeLessThan(PROMPT_MS);
  });

  test("also after an idempotent send, whose commit comes later than its insert", async () => {
    let n = 0;
    const send = (recipientAddress: string) =>
      elsewhere.send({ recipientAddress }, { "idempotency-key": `key-${n++}` });
    expect(await medianDelay(send)).toBeLessThan(PROMPT_MS);
  });

  test("a message that is there already is answered at once, without waiting for more", async () => {
    const { recipientAddress } = await calls.message();
    const start = performance.now();
    const { body } = await calls.pulled(recipientAddress, { waitSeconds: 30, maxMessages: 10 });
    expect(body.messages).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("nothing after the time: an empty answer", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const start = performance.now();
    const { status, body } = await calls.pulled(aiAgentAddress, { waitSeconds: 1 });
    expect({ status, body }).toEqual({ status: 200, body: { messages: [], remaining: 0 } });
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
  });

  test("what becomes due while somebody waits is found without a send", async () => {
    const deliverAfter = new Date(Date.now() + 400).toISOString();
    const { recipientAddress } = await calls.message({ deliverAfter });
    const { body } = await calls.pulled(recipientAddress, { waitSeconds: 10 });
    expect(body.messages).toHaveLength(1);
  });

  test("of 20 that wait on one inbox each of 20 messages goes to one", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const waiting = atOnce(20, () => calls.pulled(aiAgentAddress, { waitSeconds: 20, maxMessages: 1 }));
    await everybodyWaits(20);
    await atOnce(20, () => elsewhere.message({ recipientAddress: aiAgentAddress }));
    const ids = (await waiting).map(({ body }) => body.messages[0].messageId);
    expect(new Set(ids).size).toBe(20);
  });

  test("a caller that goes away leaves nothing leased", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const gone = new AbortController();
    const request = fetch(`${service.url}/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ waitSeconds: 30 }),
      signal: gone.signal,
    });
    await everybodyWaits(1);
    gone.abort();
    await expect(request).rejects.toThrow("abort");
    await everybodyWaits(0);
    const { messageId } = await calls.message({ recipientAddress: aiAgentAddress });
    expect(await calls.pull(aiAgentAddress)).toMatchObject([{ messageId, attempt: 1 }]);
  });

  test("200 that wait hold no connection: two serve everybody else, and one listens", async () => {
    await insertInboxes(service, 200);
    const addresses = Array.from({ length: 200 }, (_, n) => `a${n + 1}`);
    const waiting = addresses.map((address) => calls.pulled(address, { waitSeconds: 25 }));
    await everybodyWaits(200);
    const start = performance.now();
    for (const address of addresses.slice(0, 50))
      expect((await service.get(`/v1/agent-inboxes/${address}`)).status).toBe(200);
    expect((performance.now() - start) / 50).toBeLessThan(50);
    const { body } = await service.get("/metrics");
    const connections = [...body.matchAll(/^cams_pool_connections\{state="(?:idle|busy)"\} (\d+)/gm)];
    // Two of the role of agents, and the one of operators by which the metrics are asked for.
    expect(connections.reduce((sum, [, count]) => sum + Number(count), 0)).toBeLessThanOrEqual(3);
    expect(
      await service.sql(
        "select from pg_stat_activity where datname = current_database() and query ilike 'listen%' and state = 'idle'",
      ),
    ).toHaveLength(1);

    await Promise.all(addresses.map((recipientAddress) => elsewhere.message({ recipientAddress })));
    const answers = await Promise.all(waiting);
    expect(answers.map(({ body }) => body.messages[0].recipientAddress)).toEqual(addresses);
  });

  test("the end of the process answers who waits", async () => {
    const ending = await startService({}, database);
    const { aiAgentAddress } = await calls.inbox();
    const waiting = callsFor(ending).pulled(aiAgentAddress, { waitSeconds: 30 });
    await expect.poll(callsFor(ending).waiting, { interval: 5 }).toBe(1);
    await ending.close();
    expect(await waiting).toMatchObject({ status: 200, body: { messages: [] } });
  });
});
