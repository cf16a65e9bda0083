import { HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { inTurn, startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const { messageOf, becomeDue } = calls;

const deliver = async () => (await service.post("/v1/messages/deliver")).body;
const webhook = (inboxName: string, fields = {}) =>
  calls.inbox({ inboxDestinationType: "HTTP_ENDPOINT", inboxName, ...fields });
const sendTo = async (recipientAddress: string, fields = {}) =>
  (await calls.message({ recipientAddress, ...fields })).messageId as string;

describe("a message to a webhook", () => {
  test("arrives as a CloudEvent that its SDK reads, signed as Standard Webhooks verifies", async () => {
    const { url, received } = await startReceiver();
    const { aiAgentAddress, secret } = await webhook(url);
    const messageId = await sendTo(aiAgentAddress, {
      messageType: "order.placed",
      payload: { order: 7, text: "ü 😀" },
      metadata: { tenant: "north" },
      priority: "HIGH",
      correlationId: "c-1",
      orderingKey: "order-7",
      replyToAddress: "desk@corp.example",
    });
    expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });

    const [call] = received;
    expect(call?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
    const message = await messageOf(messageId);
    const event = HTTP.toEvent({ headers: call?.headers ?? {}, body: call?.text });
    expect(event).toMatchObject({
      specversion: "1.0",
      id: messageId,
      type: "cams.message.order.placed",
      source: "/v1/agent-inboxes/sender@corp.example",
      subject: aiAgentAddress,
      time: message.acceptedAt,
      data: { order: 7, text: "ü 😀" },
      priority: "HIGH",
      attempt: 1,
      correlationid: "c-1",
      partitionkey: "order-7",
      replytoaddress: "desk@corp.example",
      metadata: '{"tenant":"north"}',
    });
    expect(new Webhook(secret).verify(call?.text ?? "", call?.headers ?? {})).toMatchObject({ id: messageId });
    expect(call?.headers["webhook-id"]).toBe(messageId);
    expect(message).toMatchObject({
      status: "DELIVERED",
      attempt: 1,
      attempts: [{ number: 1, outcome: "DELIVERED", statusCode: 204, milliseconds: expect.any(Number) }],
    });
    expect(message.deliveredAt).toBe(message.finishedAt);
  });

  test("is tried again after growing pauses while the receiver answers 500", async () => {
    const { url, received } = await startReceiver(inTurn(500, 500, 500, 200));
    const messageId = await sendTo((await webhook(url)).aiAgentAddress);
    const pauses = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const before = Date.now();
      expect(await deliver()).toEqual({ delivered: 0, failed: 1, deadLettered: 0 });
      const message = await messageOf(messageId);
      expect(message.status).toBe("QUEUED");
      pauses.push((Date.parse(message.availableAt) - before) / 1000);
      await becomeDue();
    }
    expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
    for (const [index, seconds] of [1, 2, 4].entries()) {
      expect(pauses[index]).toBeGreaterThan(seconds * 0.8 - 0.05);
      expect(pauses[index]).toBeLessThan(seconds * 1.2 + 0.5);
    }
    const { status, attempts } = await messageOf(messageId);
    expect(status).toBe("DELIVERED");
    expect(attempts).toMatchObject([
      { number: 1, outcome: "FAILED", statusCode: 500, detail: "Internal Server Error" },
      { number: 2, outcome: "FAILED", statusCode: 500 },
      { number: 3, outcome: "FAILED", statusCode: 500 },
      { number: 4, outcome: "DELIVERED", statusCode: 200 },
    ]);
    expect(new Set(received.map(({ event }) => event.id))).toEqual(new Set([messageId]));
    expect(received.map(({ event }) => event.attempt)).toEqual([1, 2, 3, 4]);
  });
});
