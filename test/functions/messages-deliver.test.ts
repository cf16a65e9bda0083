import { HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { inTurn, startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const { messageOf, becomeDue, deliver, webhook, sendTo, rotate, update, inboxOf, unpause } = calls;

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

describe("an inbox that fails", () => {
  const one = { delivered: 0, failed: 1, deadLettered: 0 };
  const none = { delivered: 0, failed: 0, deadLettered: 0 };

  test("is left alone after five failures in a row, then tried with one message, and trusted again after a success", async () => {
    let status = 503;
    const { url, received } = await startReceiver((_, res) => res.writeHead(status).end());
    const { aiAgentAddress } = await webhook(url);
    for (let n = 0; n < 40; n++) await sendTo(aiAgentAddress);
    await deliver();
    const [state] = await service.sql(
      "select failures_in_row, delivery_paused_until > now() as paused from cams.agent_inboxes",
    );
    expect(state).toEqual({ failures_in_row: 5, paused: true });
    const tried = received.length;
    expect(tried).toBeLessThan(12);
    const { status: routed, deliveryPausedUntil } = await inboxOf(aiAgentAddress);
    expect(routed).toBe("ACTIVE");
    expect(Date.parse(deliveryPausedUntil)).toBeGreaterThan(Date.now());
    await becomeDue();
    expect(await deliver()).toEqual(none);
    await unpause();
    expect(await deliver()).toEqual(one);
    expect(received).toHaveLength(tried + 1);
    status = 200;
    await unpause();
    await becomeDue();
    expect(await deliver()).toMatchObject({ delivered: 40, failed: 0 });
  });

  test("ends its messages as dead letters after their last attempt, with the reason of each", async () => {
    const { url } = await startReceiver(inTurn(500, 404));
    const { aiAgentAddress } = await webhook(url, { maxDeliveryAttempts: 2 });
    const messageId = await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual(one);
    await becomeDue();
    expect(await deliver()).toEqual({ delivered: 0, failed: 1, deadLettered: 1 });
    expect(await messageOf(messageId)).toMatchObject({
      status: "DEAD_LETTERED",
      deadLetterReason: "attempts_exhausted",
      attempts: [
        { number: 1, statusCode: 500 },
        { number: 2, statusCode: 404, detail: "Not Found" },
      ],
    });
  });

  test("is deactivated when it answers 410, and gets its messages when it is made active again", async () => {
    const { url, received } = await startReceiver(inTurn(410, 200));
    const { aiAgentAddress } = await webhook(url);
    const [first, second] = [
      await sendTo(aiAgentAddress, { orderingKey: "k" }),
      await sendTo(aiAgentAddress, { orderingKey: "k" }),
    ];
    expect(await deliver()).toEqual(one);
    expect(await inboxOf(aiAgentAddress)).toMatchObject({
      status: "INACTIVE",
      adminStatus: "INACTIVE",
      updatedBy: "cams",
      statusReason: "its destination answered 410 Gone",
      revision: 2,
      pendingMessages: 2,
    });
    expect(await calls.send({ recipientAddress: aiAgentAddress })).toMatchObject({ status: 409 });
    await becomeDue();
    expect(await deliver()).toEqual(none);
    await update(aiAgentAddress, { status: "ACTIVE" });
    expect(await deliver()).toEqual({ delivered: 2, failed: 0, deadLettered: 0 });
    expect(received.map(({ event }) => event.id)).toEqual([first, first, second]);
  });

  test("is not deactivated by the 410 of a destination that it had before", async () => {
    const { url: there } = await startReceiver();
    const { aiAgentAddress } = await webhook("http://127.0.0.1:9/later");
    const { url } = await startReceiver(async (_, res) => {
      await update(aiAgentAddress, { inboxName: there });
      res.writeHead(410).end();
    });
    await update(aiAgentAddress, { inboxName: url });
    await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual(one);
    expect(await inboxOf(aiAgentAddress)).toMatchObject({ status: "ACTIVE", inboxName: there });
    await becomeDue();
    expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
  });

  test.each([
    ["became a pull queue", { inboxDestinationType: "PULL_QUEUE" }, { status: "ACTIVE", revision: 2 }],
    [
      "was made inactive by somebody",
      { status: "INACTIVE" },
      { statusReason: "admin status set to INACTIVE by local", updatedBy: "local", revision: 2 },
    ],
  ])("that %s meanwhile does not mind a 410", async (_, change, now) => {
    let address = "";
    const { url } = await startReceiver(async (_, res) => {
      await update(address, change);
      res.writeHead(410).end();
    });
    address = (await webhook(url)).aiAgentAddress;
    await sendTo(address);
    expect(await deliver()).toEqual(one);
    expect(await inboxOf(address)).toMatchObject(now);
  });

  test("is not trusted again because its former destination answered well", async () => {
    const { url } = await startReceiver(async (_, res) => {
      await service.sql("update cams.agent_inboxes set inbox_name = 'http://127.0.0.1:9/', failures_in_row = 3");
      res.writeHead(200).end();
    });
    await sendTo((await webhook(url)).aiAgentAddress);
    expect(await deliver()).toMatchObject({ delivered: 1 });
    expect(await service.sql("select failures_in_row from cams.agent_inboxes")).toEqual([{ failures_in_row: 3 }]);
  });

  test("waits as long as Retry-After asks although another call on its way ends well", async () => {
    const { url, received } = await startReceiver(async (_, res) => {
      if (received.length === 1) return res.writeHead(429, { "retry-after": "120" }).end();
      await expect
        .poll(() => service.sql("select from cams.agent_inboxes where delivery_paused_until > now()"))
        .not.toEqual([]);
      return res.writeHead(200).end();
    });
    const { aiAgentAddress } = await webhook(url);
    await sendTo(aiAgentAddress);
    await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual({ delivered: 1, failed: 1, deadLettered: 0 });
    await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual(none);
  });

  test("is not called again at once, even if it asks for that", async () => {
    const { url, received } = await startReceiver((_, res) => res.writeHead(503, { "retry-after": "0" }).end());
    const { aiAgentAddress } = await webhook(url);
    await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual(one);
    expect(received).toHaveLength(1);
  });

  test("waits as long as Retry-After asks, all its messages with it", async () => {
    const { url, received } = await startReceiver((_, res) => res.writeHead(429, { "retry-after": "120" }).end());
    const { aiAgentAddress } = await webhook(url);
    const messageId = await sendTo(aiAgentAddress);
    const before = Date.now();
    expect(await deliver()).toEqual(one);
    await sendTo(aiAgentAddress);
    expect(await deliver()).toEqual(none);
    expect(received).toHaveLength(1);
    const { availableAt, attempts } = await messageOf(messageId);
    expect(Date.parse(availableAt) - before).toBeGreaterThan(119_000);
    expect(Date.parse(availableAt) - before).toBeLessThan(125_000);
    expect(attempts).toMatchObject([{ statusCode: 429, detail: "Too Many Requests" }]);
  });
});

describe("an inbox that takes part in no messaging", () => {
  test.each([
    ["inactive", (address: string) => update(address, { status: "INACTIVE" })],
    ["unhealthy", (address: string) => calls.report(address, "UNHEALTHY")],
    ["quarantined", (address: string) => calls.quarantine(address)],
  ])("gets nothing while it is %s", async (_, stop) => {
    const { url, received } = await startReceiver();
    const { aiAgentAddress } = await webhook(url);
    await sendTo(aiAgentAddress);
    await stop(aiAgentAddress);
    expect(await deliver()).toEqual({ delivered: 0, failed: 0, deadLettered: 0 });
    expect(received).toEqual([]);
  });

  test("gets nothing before its time, and nothing after", async () => {
    const { url, received } = await startReceiver();
    const { aiAgentAddress } = await webhook(url);
    await sendTo(aiAgentAddress, { deliverAfter: "2999-01-01T00:00:00Z", timeToLiveSeconds: 100 });
    await calls.expire(await sendTo(aiAgentAddress));
    expect(await deliver()).toEqual({ delivered: 0, failed: 0, deadLettered: 0 });
    expect(received).toEqual([]);
  });
});

test("the next of an ordering key does not wait for a sweep when the one before has expired", async () => {
  const { url, received } = await startReceiver();
  const { aiAgentAddress } = await webhook(url);
  await calls.expire(await sendTo(aiAgentAddress, { orderingKey: "k" }));
  const next = await sendTo(aiAgentAddress, { orderingKey: "k" });
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
  expect(received.map(({ event }) => event.id)).toEqual([next]);
});

test("what changes between looking and leasing is heeded: nothing is leased of a paused or inactive inbox", async () => {
  const { due, claim } = service.app.repo.deliveries;
  const { aiAgentAddress: address } = await webhook("http://127.0.0.1:9/");
  await sendTo(address);
  expect(await due("", 10)).toMatchObject([{ address, due: true, stuck: false, failing: false }]);
  for (const change of [
    "delivery_paused_until = now() + interval '1 h'",
    "quarantined_at = now()",
    "health_status = 'OFFLINE'",
    "inbox_destination_type = 'PULL_QUEUE'",
  ]) {
    await service.sql(`update cams.agent_inboxes set ${change}`);
    expect(await claim([{ address, take: 1 }]), change).toEqual([]);
    expect(await due("", 10), change).toEqual([]);
    await service.sql(`update cams.agent_inboxes set delivery_paused_until = null, quarantined_at = null,
      health_status = 'UNKNOWN', inbox_destination_type = 'HTTP_ENDPOINT'`);
  }
  expect(await claim([{ address, take: 1 }])).toHaveLength(1);
});

describe("a secret", () => {
  const verifies = (secret: string, call: { text: string; headers: Record<string, string> } | undefined) => {
    try {
      new Webhook(secret).verify(call?.text ?? "", call?.headers ?? {});
      return true;
    } catch {
      return false;
    }
  };

  test("that was rotated out signs beside the new one for 24 hours, then no more", async () => {
    const { url, received } = await startReceiver();
    const { aiAgentAddress, secret: first } = await webhook(url);
    const { secret: second } = (await rotate(aiAgentAddress)).body;
    await sendTo(aiAgentAddress);
    await deliver();
    expect([first, second].map((secret) => verifies(secret, received[0]))).toEqual([true, true]);
    const [kept] = await service.sql<{ hours: number }>(
      "select extract(epoch from previous_until - now())::float8 / 3600 as hours from cams.webhook_secrets",
    );
    expect(kept?.hours).toBeCloseTo(24, 1);
    await service.sql("update cams.webhook_secrets set previous_until = now()");
    await sendTo(aiAgentAddress);
    await deliver();
    expect([first, second].map((secret) => verifies(secret, received[1]))).toEqual([false, true]);
    expect(verifies((await webhook(url)).secret, received[1])).toBe(false);
  });

  test("is shown once, and stands nowhere in the database as it is", async () => {
    const registration = {
      aiAgentAddress: calls.address(),
      inboxDestinationType: "HTTP_ENDPOINT",
      inboxName: "https://agents.corp.example/inbox",
    };
    const { body } = await service.post("/v1/agent-inboxes", registration, { "idempotency-key": "once" });
    const { aiAgentAddress, secret } = body;
    const [kept] = await service.sql<{ answer: object }>("select answer from cams.idempotency_keys");
    expect(kept?.answer).toMatchObject({ body: { aiAgentAddress } });
    expect(JSON.stringify(kept?.answer)).not.toContain("whsec_");
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await inboxOf(aiAgentAddress)).not.toHaveProperty("secret");
    const [row] = await service.sql<{ secret: Buffer }>("select secret from cams.webhook_secrets");
    expect(row?.secret.toString("latin1")).not.toContain(secret.slice(6));
    expect(row?.secret.toString("latin1")).not.toContain(Buffer.from(secret.slice(6), "base64").toString("latin1"));
  });

  test("that cannot be read any more fails the attempt, and one rotation brings it back", async () => {
    const { url, received } = await startReceiver();
    const { aiAgentAddress } = await webhook(url);
    await service.sql("update cams.webhook_secrets set secret = sha256(secret)");
    const messageId = await sendTo(aiAgentAddress);
    expect(await deliver()).toMatchObject({ delivered: 0, failed: 1 });
    expect((await messageOf(messageId)).attempts).toMatchObject([
      { outcome: "FAILED", detail: "the inbox's secret cannot be read: rotate it" },
    ]);
    expect(received).toEqual([]);
    const { secret } = (await rotate(aiAgentAddress)).body;
    await becomeDue();
    expect(await deliver()).toMatchObject({ delivered: 1 });
    expect(verifies(secret, received[0])).toBe(true);
  });

  test("comes when an inbox becomes a webhook, and stays when its destination changes", async () => {
    const { aiAgentAddress, ...pulled } = await calls.inbox();
    expect(pulled).not.toHaveProperty("secret");
    const { url, received } = await startReceiver();
    const changed = await update(aiAgentAddress, { inboxDestinationType: "HTTP_ENDPOINT", inboxName: url });
    const { secret } = changed.body;
    expect((await update(aiAgentAddress, { inboxName: `${url}/other` })).body).not.toHaveProperty("secret");
    await sendTo(aiAgentAddress);
    await deliver();
    expect(verifies(secret, received[0])).toBe(true);
  });
});
