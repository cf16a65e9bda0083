import { describe, expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
const { inbox, sendTo, redrive, messageOf, pull, ack, nack, inboxOf } = calls;

/** An inbox whose next attempts are the last. */
const fragile = async () => (await inbox({ maxDeliveryAttempts: 1 })).aiAgentAddress as string;

/** Makes dead letters of what can be pulled now. */
async function bury(address: string): Promise<void> {
  const tokens = (await pull(address, { maxMessages: 100 })).map(
    ({ leaseToken }: { leaseToken: string }) => leaseToken,
  );
  if (tokens.length > 0) await nack(address, tokens, { reason: "broken" });
}

const statuses = (ids: string[]) => Promise.all(ids.map(async (id) => (await messageOf(id)).status));

describe("redrive", () => {
  test("makes a dead letter live again: its id, its receipts, all its attempts ahead, and a new time to live", async () => {
    const address = await fragile();
    const messageId = await sendTo(address, { timeToLiveSeconds: 100, priority: "LOW", metadata: { a: "b" } });
    const sent = await messageOf(messageId);
    await bury(address);
    expect(await messageOf(messageId)).toMatchObject({ status: "DEAD_LETTERED", attempts: [{ number: 1 }] });
    const before = Date.now();
    expect(await redrive(address)).toBe(1);
    const back = await messageOf(messageId);
    expect(back).toMatchObject({
      ...sent,
      availableAt: expect.any(String),
      expiresAt: expect.any(String),
      firstLeasedAt: expect.any(String),
      status: "QUEUED",
      attempt: 0,
      attempts: [{ number: 1, outcome: "FAILED", detail: "broken" }],
    });
    expect(back).not.toHaveProperty("deadLetterReason");
    expect(Math.abs(Date.parse(back.expiresAt) - before - 100_000)).toBeLessThan(2_000);
    const [pulled] = await pull(address);
    expect(pulled).toMatchObject({ messageId, attempt: 1 });
    await ack(address, pulled.leaseToken);
    expect(await messageOf(messageId)).toMatchObject({ status: "ACKNOWLEDGED" });
    expect(await redrive(address)).toBe(0);
  });

  test("of ids takes the dead letters of this inbox among them, and nothing else", async () => {
    const [address, other] = [await fragile(), await fragile()];
    const [one, two, acked] = [await sendTo(address), await sendTo(address), await sendTo(address)];
    const foreign = await sendTo(other);
    const [, , third] = await pull(address, { maxMessages: 3 });
    await ack(address, third.leaseToken);
    await calls.lapse();
    await calls.sweep();
    await bury(other);
    expect(await redrive(address, [one, acked, foreign, "019a0000-0000-7000-8000-000000000000"])).toBe(1);
    expect(await statuses([one, two, acked, foreign])).toEqual([
      "QUEUED",
      "DEAD_LETTERED",
      "ACKNOWLEDGED",
      "DEAD_LETTERED",
    ]);
  });

  test("after a deletion waits for the address to be registered again", async () => {
    const { aiAgentAddress } = await inbox();
    const messageId = await sendTo(aiAgentAddress);
    await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    expect((await service.post(`/v1/agent-inboxes/${aiAgentAddress}/messages/redrive`, {})).status).toBe(404);
    const { url, received } = await startReceiver();
    await calls.webhook(url, { aiAgentAddress });
    expect(await redrive(aiAgentAddress)).toBe(1);
    expect(await calls.deliver()).toMatchObject({ delivered: 1 });
    expect(received.map(({ event }) => event.id)).toEqual([messageId]);
  });

  test("keeps the order of arrival, also of an ordering key and behind what is there now", async () => {
    const address = await fragile();
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push(await sendTo(address, { orderingKey: "k" }));
    for (let n = 0; n < 5; n++) await bury(address);
    const later = await sendTo(address, { orderingKey: "k" });
    expect(await redrive(address)).toBe(5);
    const order = [];
    for (let n = 0; n < 6; n++) {
      const [message] = await pull(address);
      order.push(message.messageId);
      await ack(address, message.leaseToken);
    }
    expect(order).toEqual([later, ...ids]);
  });

  test("wakes whoever waits", async () => {
    const address = await fragile();
    const messageId = await sendTo(address);
    await bury(address);
    const waiting = pull(address, { waitSeconds: 10 });
    await expect.poll(calls.waiting).toBe(1);
    const start = performance.now();
    await redrive(address);
    expect((await waiting)[0]).toMatchObject({ messageId });
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test("takes 10,000 at a time, the oldest first, and two at once take none twice", async () => {
    const { aiAgentAddress } = await inbox();
    await insertMessages(service, aiAgentAddress, 10_500, { payload: "json_build_object('n', n)" });
    await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    await inbox({ aiAgentAddress });
    expect(await redrive(aiAgentAddress)).toBe(10_000);
    const [left] = await service.sql("select min((payload ->> 'n')::int) as first from cams.message_archive");
    expect(left).toEqual({ first: 10_001 });
    expect((await atOnce(2, () => redrive(aiAgentAddress))).toSorted((a, b) => a - b)).toEqual([0, 500]);
    expect((await inboxOf(aiAgentAddress)).pendingMessages).toBe(1000);
  });

  test("of an inbox that is just being deleted finds nothing to bring back", async () => {
    const address = await fragile();
    const messageId = await sendTo(address);
    await bury(address);
    await whileHeld(
      service,
      "delete from cams.agent_inboxes where ai_agent_address = $1",
      [address],
      async (release) => {
        const call = service.post(`/v1/agent-inboxes/${address}/messages/redrive`, {});
        await sessionsWait(service, 1);
        await release();
        expect((await call).status).toBe(404);
      },
    );
    expect(await messageOf(messageId)).toMatchObject({ status: "DEAD_LETTERED" });
  });
});
