import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const finished = { status: 409, body: { code: "message_finished" } };

describe("messages-cancel", () => {
  test("a queued message ends as CANCELLED and is not handed out", async () => {
    const { messageId, recipientAddress } = await calls.message();
    const answer = await calls.cancel(messageId);
    expect(answer).toMatchObject({ status: 200, body: { messageId, status: "CANCELLED", attempts: [] } });
    expect(answer.body.finishedAt).toBeDefined();
    expect(await calls.messageOf(messageId)).toEqual(answer.body);
    expect(await calls.pull(recipientAddress)).toEqual([]);
  });

  test("a leased one too: its puller's ack is refused", async () => {
    const { messageId, recipientAddress, leaseToken } = await calls.leased();
    expect((await calls.cancel(messageId)).body).toMatchObject({
      status: "CANCELLED",
      attempts: [{ number: 1, outcome: "FAILED", detail: "cancelled" }],
    });
    expect((await calls.ack(recipientAddress, leaseToken)).body.acknowledged).toEqual([]);
  });

  test("409 once it has come to its end, in whichever way", async () => {
    const acknowledged = await calls.leased();
    await calls.ack(acknowledged.recipientAddress, acknowledged.leaseToken);
    const cancelled = await calls.message();
    await calls.cancel(cancelled.messageId);
    const expired = await calls.message();
    await calls.expire(expired.messageId);
    const { aiAgentAddress } = await calls.inbox({ maxDeliveryAttempts: 1 });
    const exhausted = await calls.leased({ recipientAddress: aiAgentAddress });
    await calls.lapse();
    const table = { ACKNOWLEDGED: acknowledged, CANCELLED: cancelled, EXPIRED: expired, DEAD_LETTERED: exhausted };
    for (const sweep of [false, true]) {
      if (sweep) await calls.sweep();
      for (const [status, { messageId }] of Object.entries(table)) {
        expect(await calls.cancel(messageId), status).toMatchObject(finished);
        expect(await calls.messageOf(messageId)).toMatchObject({ status });
      }
    }
  });

  test("404 when there is no such message", async () => {
    const answer = await calls.cancel("0199d9a0-0000-7000-8000-000000000001");
    expect(answer).toMatchObject({ status: 404, body: { code: "message_not_found" } });
  });

  test("of 20 at once one cancels", async () => {
    const { messageId } = await calls.message({ orderingKey: "k" });
    const answers = await atOnce(20, () => calls.cancel(messageId));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(409)]);
  });

  test("against an ack one wins, and the message says which", async () => {
    for (let round = 0; round < 25; round++) {
      const { messageId, recipientAddress, leaseToken } = await calls.leased();
      const [acked, cancelled] = await Promise.all([calls.ack(recipientAddress, leaseToken), calls.cancel(messageId)]);
      const isAcked = acked.body.acknowledged.length === 1;
      expect(cancelled.status).toBe(isAcked ? 409 : 200);
      expect(await calls.messageOf(messageId)).toMatchObject({ status: isAcked ? "ACKNOWLEDGED" : "CANCELLED" });
    }
  });

  test("against a pull: whoever was handed the message cannot acknowledge it any more", async () => {
    for (let round = 0; round < 25; round++) {
      const { messageId, recipientAddress } = await calls.message();
      const [pulled, cancelled] = await Promise.all([calls.pull(recipientAddress), calls.cancel(messageId)]);
      expect(cancelled.status).toBe(200);
      for (const { leaseToken } of pulled)
        expect((await calls.ack(recipientAddress, leaseToken)).body.acknowledged).toEqual([]);
      expect(await calls.messageOf(messageId)).toMatchObject({
        status: "CANCELLED",
        attempts: { length: pulled.length },
      });
    }
  });
});
