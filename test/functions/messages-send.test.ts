import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const seconds = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

describe("messages-send", () => {
  test("202, and everything given comes back, looked up and pulled", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const given = {
      recipientAddress: aiAgentAddress,
      senderAddress: "sender@corp.example",
      messageType: "order.placed",
      payload: { text: "Grüße 🎉", nested: { list: [1, 2.5, null, true, "x"], empty: {} }, big: 9007199254740991 },
      metadata: { trace: "abc", "a key": "" },
      priority: "HIGH",
      timeToLiveSeconds: 3600,
      orderingKey: "order-7",
      correlationId: "conversation-1",
      inReplyTo: "0199d9a0-0000-7000-8000-000000000001",
      replyToAddress: "replies@corp.example",
      senderMessageId: "mine-1",
    };
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const sent = await calls.send(given, { traceparent: trace });
    expect(sent.status).toBe(202);
    expect(sent.headers.get("location")).toBe(`/v1/messages/${sent.body.messageId}`);
    expect(sent.body).toEqual({
      messageId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      status: "QUEUED",
      recipientAddress: aiAgentAddress,
      acceptedAt: expect.any(String),
      expiresAt: expect.any(String),
    });
    expect(seconds(sent.body.acceptedAt, sent.body.expiresAt)).toBe(3600);

    const message = await calls.messageOf(sent.body.messageId);
    expect(message).toEqual({
      ...given,
      ...sent.body,
      availableAt: sent.body.acceptedAt,
      attempt: 0,
      attempts: [],
      // The caller's trace with a span of ours.
      traceparent: expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/),
    });
    expect(message.traceparent).not.toBe(trace);

    const [pulled] = await calls.pull(aiAgentAddress);
    const { leaseToken: _, leaseExpiresAt, firstLeasedAt, ...rest } = pulled;
    const attempts = [{ number: 1, at: firstLeasedAt, outcome: "LEASED" }];
    expect(rest).toEqual({ ...message, status: "LEASED", attempt: 1, attempts, availableAt: leaseExpiresAt });
  });

  test("what is left out has its default, and is not shown where there is none", async () => {
    const { recipientAddress, messageId } = await calls.message({ payload: {} });
    const message = await calls.messageOf(messageId);
    expect(Object.keys(message).sort()).toEqual(
      "acceptedAt attempt attempts availableAt expiresAt messageId messageType payload priority recipientAddress"
        .split(" ")
        .concat("senderAddress status timeToLiveSeconds".split(" ")),
    );
    expect(message).toMatchObject({ recipientAddress, messageType: "message", priority: "NORMAL", payload: {} });
    expect(seconds(message.acceptedAt, message.expiresAt)).toBe(7 * 86_400);
  });

  test("addresses are the same in any case of letters", async () => {
    await calls.inbox({ aiAgentAddress: "mixed@corp.example" });
    const sent = await calls.send({ recipientAddress: "MiXed@Corp.example", senderAddress: "ME@corp.example" });
    expect(sent.body.recipientAddress).toBe("mixed@corp.example");
    expect(await calls.messageOf(sent.body.messageId)).toMatchObject({ senderAddress: "me@corp.example" });
  });

  test("404 for an unknown recipient, and nothing is kept", async () => {
    for (const fields of [{}, { senderMessageId: "m1" }, { orderingKey: "k" }]) {
      const answer = await calls.send({ recipientAddress: "nobody@corp.example", ...fields });
      expect(answer).toMatchObject({ status: 404, body: { code: "inbox_not_found" } });
    }
    expect(
      await service.sql("select message_id from cams.messages union all select message_id from cams.message_keys"),
    ).toHaveLength(0);
  });

  test("a delayed message is not handed out before its time", async () => {
    const deliverAfter = new Date(Date.now() + 3_600_000).toISOString().replace("Z", "+00:00");
    const { recipientAddress, messageId } = await calls.message({ deliverAfter });
    expect(await calls.messageOf(messageId)).toMatchObject({
      status: "QUEUED",
      availableAt: deliverAfter.replace("+00:00", "Z"),
    });
    expect((await calls.pulled(recipientAddress)).body).toEqual({ messages: [], remaining: 0 });
    await service.sql("update cams.messages set available_at = now(), rank_at = now()");
    expect(await calls.pull(recipientAddress)).toMatchObject([{ messageId, attempt: 1 }]);
  });

  test("a delay that is over at once delays nothing", async () => {
    const { recipientAddress, messageId } = await calls.message({ deliverAfter: "2020-01-01T00:00:00Z" });
    const [message] = await calls.pull(recipientAddress);
    expect(message.messageId).toBe(messageId);
  });

  test.each([
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "2026-02-28T00:00:00.123456789Z",
    "2026-02-30T00:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T23:59:60Z",
  ])("deliverAfter %s is taken or refused, never a fault of ours", async (deliverAfter) => {
    const { aiAgentAddress } = await calls.inbox();
    const { status } = await calls.send({ recipientAddress: aiAgentAddress, deliverAfter });
    expect([202, 400]).toContain(status);
    const listed = await service.get(`/v1/messages?after=${encodeURIComponent(deliverAfter)}`);
    expect([200, 400]).toContain(listed.status);
  });

  test("a message past its time to live reads EXPIRED and is not handed out", async () => {
    const { recipientAddress, messageId } = await calls.message({ timeToLiveSeconds: 1 });
    await calls.expire();
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "EXPIRED" });
    expect((await calls.pulled(recipientAddress)).body).toEqual({ messages: [], remaining: 0 });
  });

  test("400 naming every fault", async () => {
    const { status, body } = await service.post("/v1/messages", {
      recipientAddress: "a b",
      payload: [],
      priority: "URGENT",
      timeToLiveSeconds: 0,
      colour: "red",
    });
    expect(status).toBe(400);
    expect(body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
      "/colour",
      "/payload",
      "/priority",
      "/recipientAddress",
      "/senderAddress",
      "/timeToLiveSeconds",
    ]);
  });
});

describe("who takes messages", () => {
  const inactive = { status: 409, body: { code: "inbox_inactive" } };

  test("409 when an operator set it INACTIVE, or it is quarantined, whatever its health", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.report(aiAgentAddress);
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    expect(await calls.send({ recipientAddress: aiAgentAddress })).toMatchObject(inactive);
    expect(await calls.send({ recipientAddress: aiAgentAddress, senderMessageId: "m" })).toMatchObject(inactive);
    await calls.update(aiAgentAddress, { status: "ACTIVE" });
    await calls.quarantine(aiAgentAddress);
    expect(await calls.send({ recipientAddress: aiAgentAddress })).toMatchObject(inactive);
    expect(await service.sql("select from cams.messages")).toHaveLength(0);
  });

  test.each(["UNHEALTHY", "OFFLINE"])("held for one that is %s, unless the sender wants it refused", async (health) => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.report(aiAgentAddress, health === "OFFLINE" ? "HEALTHY" : "UNHEALTHY");
    if (health === "OFFLINE") {
      await calls.silence(300);
      await calls.sweep();
    }
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ healthStatus: health, status: "INACTIVE" });
    expect(await calls.send({ recipientAddress: aiAgentAddress })).toMatchObject({ status: 202 });
    expect(await calls.send({ recipientAddress: aiAgentAddress, ifInactive: "hold" })).toMatchObject({ status: 202 });
    const once = { ifInactive: "reject", senderMessageId: "once" };
    expect(await calls.send({ recipientAddress: aiAgentAddress, ifInactive: "reject" })).toMatchObject(inactive);
    expect(await calls.send({ recipientAddress: aiAgentAddress, ...once })).toMatchObject(inactive);
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ pendingMessages: 2 });

    await calls.report(aiAgentAddress);
    expect(await calls.send({ recipientAddress: aiAgentAddress, ...once })).toMatchObject({ status: 202 });
    expect(await calls.pull(aiAgentAddress)).toHaveLength(3);
  });

  test("one that is SUSPECT takes them, `reject` or not", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.report(aiAgentAddress);
    await calls.silence(130);
    await calls.sweep();
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ healthStatus: "SUSPECT", status: "ACTIVE" });
    expect(await calls.send({ recipientAddress: aiAgentAddress, ifInactive: "reject" })).toMatchObject({ status: 202 });
  });
});
