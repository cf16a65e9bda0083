import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

describe("messages-nack", () => {
  test("the attempt is told as failed with its reason, and the message waits", async () => {
    const { recipientAddress, messageId, leaseToken } = await calls.leased();
    const answer = await calls.nack(recipientAddress, [leaseToken], { reason: "no disk left" });
    expect(answer).toMatchObject({ status: 200, body: { returned: [messageId], deadLettered: [], refused: [] } });
    expect(await calls.messageOf(messageId)).toMatchObject({
      status: "QUEUED",
      attempt: 1,
      attempts: [{ number: 1, outcome: "FAILED", detail: "no disk left" }],
    });
    expect(await calls.pull(recipientAddress)).toEqual([]);
    await calls.becomeDue();
    expect(await calls.pull(recipientAddress)).toMatchObject([{ messageId, attempt: 2 }]);
    expect((await calls.nack(recipientAddress, [leaseToken])).body.refused).toHaveLength(1);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15])(
    "after failure %i the wait doubles, to 300 s, a fifth either way",
    async (n) => {
      const { aiAgentAddress } = await calls.inbox();
      await atOnce(40, () => calls.message({ recipientAddress: aiAgentAddress }));
      await service.sql("update cams.messages set attempt = $1::integer - 1", [n]);
      const tokens = await tokensOf(aiAgentAddress);
      const { waits, took } = await waitsAfter(() => calls.nack(aiAgentAddress, tokens));
      const mean = Math.min(300, 2 ** (n - 1));
      expect(waits).toHaveLength(40);
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(mean * 0.8 - 0.002);
      expect(Math.max(...waits)).toBeLessThanOrEqual(mean * 1.2 + took + 0.002);
      // Those that failed together do not come back together.
      expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(mean * 0.1);
    },
  );

  test("`retryAfterSeconds` instead, 0 being at once", async () => {
    const { recipientAddress, leaseToken } = await calls.leased();
    const { waits, took } = await waitsAfter(() =>
      calls.nack(recipientAddress, [leaseToken], { retryAfterSeconds: 3600 }),
    );
    expect(waits[0]).toBeGreaterThanOrEqual(3600 - 0.002);
    expect(waits[0]).toBeLessThanOrEqual(3600 + took + 0.002);
    await calls.becomeDue();
    await calls.nack(recipientAddress, await tokensOf(recipientAddress), { retryAfterSeconds: 0 });
    expect(await calls.pull(recipientAddress)).toMatchObject([{ attempt: 3 }]);
  });
});

async function tokensOf(address: string): Promise<string[]> {
  const pulled = await calls.pull(address, { maxMessages: 100 });
  return pulled.map(({ leaseToken }: { leaseToken: string }) => leaseToken);
}

/** How long each live message waits from just before `work` on, and how long that took, by the database's clock. */
async function waitsAfter(work: () => Promise<unknown>): Promise<{ waits: number[]; took: number }> {
  const clock = "extract(epoch from clock_timestamp())::float8";
  const [before] = await service.sql<{ now: number }>(`select ${clock} as now`);
  await work();
  const rows = await service.sql<{ at: number; now: number }>(
    `select extract(epoch from available_at)::float8 as at, ${clock} as now from cams.messages`,
  );
  const start = before?.now ?? 0;
  return { waits: rows.map(({ at }) => at - start), took: (rows[0]?.now ?? 0) - start };
}

describe("maxDeliveryAttempts", () => {
  test("the last attempt nacked: a dead letter with its reason and all attempts", async () => {
    const { aiAgentAddress } = await calls.inbox({ maxDeliveryAttempts: 2 });
    const { messageId } = await calls.message({ recipientAddress: aiAgentAddress });
    const [first] = await calls.pull(aiAgentAddress);
    expect(
      (await calls.nack(aiAgentAddress, [first.leaseToken], { retryAfterSeconds: 0, reason: "one" })).body.returned,
    ).toEqual([messageId]);
    const [second] = await calls.pull(aiAgentAddress);
    expect((await calls.nack(aiAgentAddress, [second.leaseToken], { reason: "two" })).body).toEqual({
      returned: [],
      deadLettered: [messageId],
      refused: [],
    });
    const message = await calls.messageOf(messageId);
    expect(message).toMatchObject({
      status: "DEAD_LETTERED",
      deadLetterReason: "attempts_exhausted",
      attempt: 2,
      attempts: [
        { number: 1, outcome: "FAILED", detail: "one" },
        { number: 2, outcome: "FAILED", detail: "two" },
      ],
    });
    expect(message.finishedAt).toBeDefined();
    expect(await calls.pull(aiAgentAddress)).toEqual([]);
  });

  test("the last attempt lapsed: a dead letter at once, without a sweep", async () => {
    const { aiAgentAddress } = await calls.inbox({ maxDeliveryAttempts: 1 });
    const { messageId } = await calls.message({ recipientAddress: aiAgentAddress });
    const [pulled] = await calls.pull(aiAgentAddress);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "LEASED" });
    await calls.lapse();
    expect(await calls.messageOf(messageId)).toMatchObject({
      status: "DEAD_LETTERED",
      deadLetterReason: "attempts_exhausted",
      attempts: [{ number: 1, outcome: "LEASE_EXPIRED" }],
    });
    expect((await calls.pulled(aiAgentAddress)).body).toEqual({ messages: [], remaining: 0 });
    expect((await calls.ack(aiAgentAddress, pulled.leaseToken)).body.acknowledged).toEqual([]);
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ pendingMessages: 0 });
  });

  test("the last attempt acknowledged, or extended and acknowledged, is a success", async () => {
    const { aiAgentAddress } = await calls.inbox({ maxDeliveryAttempts: 1 });
    const { messageId } = await calls.message({ recipientAddress: aiAgentAddress });
    const [pulled] = await calls.pull(aiAgentAddress, { leaseSeconds: 5 });
    await calls.extend(aiAgentAddress, [pulled.leaseToken], 600);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "LEASED" });
    await calls.ack(aiAgentAddress, pulled.leaseToken);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "ACKNOWLEDGED" });
  });

  test("good and last attempts nacked in one call go their own ways", async () => {
    const { aiAgentAddress } = await calls.inbox({ maxDeliveryAttempts: 3 });
    const old = await calls.message({ recipientAddress: aiAgentAddress });
    await service.sql("update cams.messages set attempt = 2");
    const young = await calls.message({ recipientAddress: aiAgentAddress });
    const [a, b] = await calls.pull(aiAgentAddress);
    const { body } = await calls.nack(aiAgentAddress, [b.leaseToken, "nonsense", a.leaseToken]);
    expect(body).toEqual({
      returned: [young.messageId],
      deadLettered: [old.messageId],
      refused: [{ leaseToken: "nonsense", code: "lease_expired" }],
    });
  });

  test("lowered while a message waits, it counts from the next attempt on", async () => {
    const { recipientAddress, leaseToken, messageId } = await calls.leased();
    await calls.update(recipientAddress, { maxDeliveryAttempts: 1 });
    expect((await calls.nack(recipientAddress, [leaseToken], { retryAfterSeconds: 0 })).body.returned).toHaveLength(1);
    const [again] = await calls.pull(recipientAddress);
    expect((await calls.nack(recipientAddress, [again.leaseToken])).body.deadLettered).toEqual([messageId]);
  });
});
