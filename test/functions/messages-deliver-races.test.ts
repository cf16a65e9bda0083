import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { startService, useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService();
const { deliver, webhook, sendTo, update, messageOf, becomeDue, unpause, failedStatements } = callsFor(service);

const liveMessages = async () =>
  Number((await service.sql<{ n: string }>("select count(*) n from cams.messages"))[0]?.n);

test("ten dispatchers at once, in two processes' worth of services, deliver each message once", async () => {
  const other = await startService({}, { url: service.databaseUrl, drop: async () => {} });
  const receivers = await Promise.all([1, 2, 3].map(() => startReceiver()));
  for (const { url } of receivers) await insertMessages(service, (await webhook(url)).aiAgentAddress, 400);
  const runs = await atOnce(10, (n) => (n % 2 ? deliver() : callsFor(other).deliver()));
  await other.close();
  expect(runs.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(1200);
  for (const { received } of receivers) {
    expect(received).toHaveLength(400);
    expect(new Set(received.map(({ event }) => event.id)).size).toBe(400);
  }
  expect(await liveMessages()).toBe(0);
});

test("messages of one ordering key arrive in their order under 8 dispatchers and failures at random", async () => {
  const keys = ["red", "green", "blue", "grey"];
  const arrived = new Map<string, number[]>(keys.map((key) => [key, []]));
  const open = new Set<string>();
  const { url } = await startReceiver(async ({ event }, res) => {
    const key = event.partitionkey;
    expect(open.has(key), "two of one key on their way at once").toBe(false);
    open.add(key);
    await delay(Math.random() * 5);
    open.delete(key);
    const fails = Math.random() < 0.3;
    if (!fails) arrived.get(key)?.push(event.data.n);
    res.writeHead(fails ? 500 : 200).end();
  });
  const { aiAgentAddress } = await webhook(url, { maxDeliveryAttempts: 100 });
  for (let n = 0; n < 30; n++)
    await Promise.all(
      keys.map((orderingKey, k) =>
        sendTo(aiAgentAddress, { orderingKey, payload: { n }, priority: ["LOW", "CRITICAL"][(n + k) % 2] }),
      ),
    );
  for (let rounds = 0; (await liveMessages()) > 0 && rounds < 200; rounds++) {
    await Promise.all([becomeDue(), unpause()]);
    await atOnce(8, deliver);
  }
  for (const numbers of arrived.values()) expect(numbers).toEqual(Array.from({ length: 30 }, (_, n) => n));
  expect(await failedStatements()).toEqual([]);
}, 60_000);

test("an inbox that moves from webhook to webhook to pull queue and back during a drain of 1,000 loses nothing", async () => {
  const arrived = new Set<string>();
  const answer = (share: number) => () =>
    startReceiver(({ event }, res) => {
      const fails = Math.random() < share;
      if (!fails) arrived.add(event.id);
      res.writeHead(fails ? 503 : 200).end();
    });
  const [flaky, steady] = await Promise.all([answer(0.2)(), answer(0)()]);
  const { aiAgentAddress } = await webhook(flaky.url);
  await insertMessages(service, aiAgentAddress, 1000);
  const destinations = [
    { inboxName: steady.url },
    { inboxDestinationType: "PULL_QUEUE" },
    { inboxDestinationType: "HTTP_ENDPOINT", inboxName: flaky.url },
  ];
  let moves = 0;
  const moving = (async () => {
    for (; (await liveMessages()) > 0; await delay(10))
      expect((await update(aiAgentAddress, destinations[moves++ % 3] ?? {})).status).toBe(200);
  })();
  const pulling = (async () => {
    for (; (await liveMessages()) > 0; await delay(5)) {
      const { status, body } = await callsFor(service).pulled(aiAgentAddress, { maxMessages: 20 });
      if (status !== 200) continue;
      for (const { messageId, leaseToken } of body.messages) {
        const acked = await callsFor(service).ack(aiAgentAddress, leaseToken);
        if (acked.body.acknowledged.length === 1) arrived.add(messageId);
      }
    }
  })();
  const delivering = (async () => {
    for (; (await liveMessages()) > 0; await Promise.all([becomeDue(), unpause()])) await atOnce(2, deliver);
  })();
  await Promise.all([moving, pulling, delivering]);
  expect(moves).toBeGreaterThan(3);
  const finished = await service.sql<{ message_id: string; status: string }>(
    "select message_id, status from cams.message_archive",
  );
  expect(finished).toHaveLength(1000);
  expect(new Set(finished.map(({ status }) => status))).toEqual(new Set(["DELIVERED", "ACKNOWLEDGED"]));
  expect(finished.filter(({ message_id }) => !arrived.has(message_id))).toEqual([]);
}, 60_000);

test("an inbox deleted while its messages are on their way: each is delivered or a dead letter, none both", async () => {
  const { url, received } = await startReceiver(async (_, res) => {
    await delay(5);
    res.writeHead(200).end();
  });
  const { aiAgentAddress } = await webhook(url);
  await insertMessages(service, aiAgentAddress, 300);
  const run = deliver();
  await expect.poll(() => received.length).toBeGreaterThan(20);
  expect((await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`)).status).toBe(204);
  const { delivered } = await run;
  const rows = await service.sql<{ status: string; n: number }>(
    "select status, count(*)::int n from cams.message_archive group by status",
  );
  const counts = Object.fromEntries(rows.map(({ status, n }) => [status, n]));
  expect(counts).toEqual({ DELIVERED: delivered, DEAD_LETTERED: 300 - delivered });
  expect(delivered).toBeLessThanOrEqual(received.length);
});

test("a result that comes after its lease is over counts, unless somebody else has the message", async () => {
  const { url } = await startReceiver(async (_, res) => {
    await service.sql("update cams.messages set available_at = now() - interval '1 s'");
    res.writeHead(200).end();
  });
  const messageId = await sendTo((await webhook(url)).aiAgentAddress);
  expect(await deliver()).toMatchObject({ delivered: 1 });
  expect(await messageOf(messageId)).toMatchObject({ status: "DELIVERED", attempt: 1 });

  const { url: late } = await startReceiver(async (_, res) => {
    const past = "now() - interval '1 s'";
    await service.sql(`update cams.messages set available_at = ${past}, expires_at = ${past}`);
    res.writeHead(200).end();
  });
  const expired = await sendTo((await webhook(late)).aiAgentAddress);
  expect(await deliver()).toMatchObject({ delivered: 0 });
  expect((await messageOf(expired)).status).toBe("EXPIRED");

  const { url: slow } = await startReceiver(async (_, res) => {
    await service.sql("update cams.messages set lease_token = gen_random_uuid()");
    res.writeHead(200).end();
  });
  const taken = await sendTo((await webhook(slow)).aiAgentAddress);
  expect(await deliver()).toMatchObject({ delivered: 0, failed: 0 });
  expect(await messageOf(taken)).toMatchObject({ status: "LEASED", attempt: 1 });
});
