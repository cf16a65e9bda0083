import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const replayed = (answer: { headers: Headers }) => answer.headers.get("idempotent-replayed") === "true";
const live = () => service.sql("select message_id from cams.messages");

describe("senderMessageId", () => {
  test.each([{}, { orderingKey: "k" }])("50 at once (%o): one message, 50 times 202 with its id", async (fields) => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1", ...fields };
    const answers = await atOnce(50, () => calls.send(body));
    expect(answers.every(({ status }) => status === 202)).toBe(true);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers.filter(replayed)).toHaveLength(49);
    expect(await live()).toEqual([{ message_id: answers[0]?.body.messageId }]);
  });

  test("of 50 different bodies at once one wins, and 49 are told 409", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const answers = await atOnce(50, (n) =>
      calls.send({ recipientAddress: aiAgentAddress, senderMessageId: "order-1", payload: { n } }),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status, body }) => status === 409 && body.code === "message_id_reused")).toHaveLength(49);
    expect(await live()).toHaveLength(1);
  });

  test("409 for any field that differs", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const { aiAgentAddress: other } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1" };
    await calls.send(body);
    for (const change of [{ payload: {} }, { priority: "LOW" }, { recipientAddress: other }, { correlationId: "c" }])
      expect(await calls.send({ ...body, ...change })).toMatchObject({
        status: 409,
        body: { code: "message_id_reused" },
      });
    expect(replayed(await calls.send({ ...body, priority: "NORMAL" }))).toBe(true);
  });

  test("is the sender's own: another sender's is another message", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1" };
    const first = await calls.send({ ...body, senderAddress: "one" });
    const second = await calls.send({ ...body, senderAddress: "two" });
    const same = await calls.send({ ...body, senderAddress: "ONE" });
    expect(second.body.messageId).not.toBe(first.body.messageId);
    expect(same.body).toEqual(first.body);
  });

  test("the first answer comes again when the message is done, the inbox inactive, quarantined, or gone", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1", timeToLiveSeconds: 60 };
    const first = await calls.send(body);
    const again = async () => {
      const answer = await calls.send(body);
      expect(answer.status).toBe(202);
      expect(answer.body).toEqual(first.body);
      expect(replayed(answer)).toBe(true);
    };
    await again();
    const [pulled] = await calls.pull(aiAgentAddress);
    await calls.ack(aiAgentAddress, pulled.leaseToken);
    await again();
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    await again();
    expect(await calls.send({ ...body, payload: { other: 1 } })).toMatchObject({ body: { code: "message_id_reused" } });
    await calls.quarantine(aiAgentAddress);
    await again();
    await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    await again();
    expect(await live()).toHaveLength(0);
  });

  test("after a refusal the id is free", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1" };
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    expect((await calls.send(body)).status).toBe(409);
    await calls.update(aiAgentAddress, { status: "ACTIVE" });
    const answer = await calls.send({ ...body, payload: { other: 1 } });
    expect(answer.status).toBe(202);
    expect(replayed(answer)).toBe(false);
  });

  test("after 14 days the id makes a new message, once even for 20 at once", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1" };
    const first = await calls.send(body);
    await service.sql("update cams.message_keys set kept_until = kept_until - interval '13 days 23 hours'");
    expect((await calls.send(body)).body).toEqual(first.body);
    await service.sql("update cams.message_keys set kept_until = kept_until - interval '1 hour'");
    const answers = await atOnce(20, () => calls.send({ ...body, payload: { fresh: true } }));
    const ids = new Set(answers.map(({ body }) => body.messageId));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(202));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(first.body.messageId);
    expect(await live()).toHaveLength(2);
    const [key] = await service.sql("select kept_until > now() + interval '13 days' as kept from cams.message_keys");
    expect(key).toEqual({ kept: true });
  });

  test("beside an Idempotency-Key both hold", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const body = { recipientAddress: aiAgentAddress, senderMessageId: "order-1", orderingKey: "k" };
    const answers = await atOnce(20, (n) => calls.send(body, { "idempotency-key": `key-${n % 4}` }));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(202));
    expect(new Set(answers.map(({ body }) => body.messageId)).size).toBe(1);
    expect(answers.filter(replayed)).toHaveLength(19);
    expect(await live()).toHaveLength(1);
  });
});
