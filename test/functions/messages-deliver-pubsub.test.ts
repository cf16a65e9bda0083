import { expect, onTestFinished, test } from "vitest";
import { googleError, startPubsub } from "../support/pubsub.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService } from "../support/service.ts";
import { callsFor } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const topic = "projects/p/topics/t";

/** A service that publishes to a Pub/Sub of its own, and an inbox at a topic of it. */
async function start(fields: Record<string, unknown> = {}) {
  const pubsub = await startPubsub(topic);
  const service = await startService({ PUBSUB_EMULATOR_HOST: pubsub.host });
  onTestFinished(() => service.close());
  const calls = callsFor(service);
  const { aiAgentAddress } = await calls.inbox({
    inboxDestinationType: "GCP_PUBSUB_TOPIC",
    inboxName: topic,
    ...fields,
  });
  return { pubsub, service, ...calls, address: aiAgentAddress as string };
}

test("a message to a topic is published with its attributes, and its receipt has the topic's id of it", async () => {
  const { pubsub, address, sendTo, deliver, messageOf } = await start();
  const messageId = await sendTo(address, {
    payload: { order: 7 },
    messageType: "order.placed",
    priority: "CRITICAL",
    correlationId: "c-1",
    senderMessageId: "m-1",
    orderingKey: "order-7",
  });
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
  const message = await messageOf(messageId);
  const [published] = pubsub.published(topic);
  expect(published).toMatchObject({
    data: '{"order":7}',
    orderingKey: "order-7",
    attributes: {
      messageId,
      aiAgentAddress: address,
      timestampPublished: message.acceptedAt,
      senderId: "sender@corp.example",
      correlationId: "c-1",
      senderProvidedMessageId: "m-1",
      contentType: "application/json",
      messageType: "order.placed",
      priority: "CRITICAL",
    },
  });
  expect(message).toMatchObject({
    status: "DELIVERED",
    attempts: [{ number: 1, outcome: "DELIVERED", statusCode: 200, detail: `published as ${published?.id}` }],
  });
});

test("3,000 messages go out in publishes of up to 1,000, each once", async () => {
  const { pubsub, service, address, deliver } = await start();
  await insertMessages(service, address, 3000);
  expect(await deliver()).toEqual({ delivered: 3000, failed: 0, deadLettered: 0 });
  expect(new Set(pubsub.published(topic).map(({ attributes }) => attributes.messageId)).size).toBe(3000);
  expect(pubsub.published(topic)).toHaveLength(3000);
  expect(pubsub.requests.length).toBeLessThan(8);
});

test("40 MB of large messages go out in publishes that Pub/Sub takes", async () => {
  const { pubsub, service, address, deliver } = await start();
  await insertMessages(service, address, 200, { payload: "json_build_object('text', repeat('x', 200000))" });
  expect(await deliver()).toEqual({ delivered: 200, failed: 0, deadLettered: 0 });
  expect(pubsub.published(topic)).toHaveLength(200);
  const { body } = await service.get("/metrics");
  const attempts = /cams_delivery_attempts_total\{destination_type="GCP_PUBSUB_TOPIC",outcome="delivered"\} (\d+)/.exec(
    body,
  );
  expect(Number(attempts?.[1]), "6 MB in a process's hand at a time").toBeGreaterThanOrEqual(6);
});

test("a topic that is not there fails each attempt, and gets the messages when it is made", async () => {
  const { pubsub, address, sendTo, deliver, messageOf, becomeDue, inboxOf } = await start();
  pubsub.topics.delete(topic);
  const messageId = await sendTo(address);
  expect(await deliver()).toEqual({ delivered: 0, failed: 1, deadLettered: 0 });
  expect((await messageOf(messageId)).attempts).toMatchObject([
    { outcome: "FAILED", statusCode: 404, detail: expect.stringMatching(/^404 NOT_FOUND/) },
  ]);
  expect(await inboxOf(address)).toMatchObject({ status: "ACTIVE" });
  pubsub.topics.add(topic);
  await becomeDue();
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
});

test("one message that Pub/Sub refuses does not hold up its neighbours", async () => {
  const { pubsub, service, address, deliver, messageOf } = await start();
  await insertMessages(service, address, 50, { sender_address: "case n when 7 then repeat('s', 1100) else 's' end" });
  expect(await deliver()).toEqual({ delivered: 49, failed: 1, deadLettered: 0 });
  expect(pubsub.published(topic)).toHaveLength(49);
  const [bad] = await service.sql<{ message_id: string }>("select message_id from cams.messages");
  expect((await messageOf(bad?.message_id ?? "")).attempts).toMatchObject([{ outcome: "FAILED", statusCode: 400 }]);
});

test("a Pub/Sub that is overloaded is left alone as long as it asks", async () => {
  const { pubsub, address, sendTo, deliver, messageOf } = await start();
  pubsub.answer(1, 429, googleError(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), { "retry-after": "60" });
  const messageId = await sendTo(address);
  const before = Date.now();
  expect(await deliver()).toEqual({ delivered: 0, failed: 1, deadLettered: 0 });
  expect(await deliver()).toEqual({ delivered: 0, failed: 0, deadLettered: 0 });
  expect(Date.parse((await messageOf(messageId)).availableAt) - before).toBeGreaterThan(59_000);
});

test("a topic is served beside more webhooks than there are places", async () => {
  const { pubsub, service, address, webhook } = await start();
  for (let n = 0; n < 70; n++) {
    const { url } = await startReceiver(() => {});
    await insertMessages(service, (await webhook(url)).aiAgentAddress, 5);
  }
  const caller = new AbortController();
  const run = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: caller.signal }).catch(() => {});
  await expect
    .poll(async () => (await service.sql("select from cams.messages where lease_token is not null")).length)
    .toBe(112);
  await insertMessages(service, address, 100);
  await expect.poll(() => pubsub.published(topic).length, { timeout: 3_000 }).toBe(100);
  caller.abort();
  await run;
}, 30_000);

test("messages of one ordering key are published one after the other, in order", async () => {
  const { pubsub, address, sendTo, deliver } = await start();
  for (let n = 0; n < 20; n++) await sendTo(address, { orderingKey: "k", payload: { n } });
  expect(await deliver()).toEqual({ delivered: 20, failed: 0, deadLettered: 0 });
  expect(pubsub.published(topic).map(({ data }) => JSON.parse(data).n)).toEqual(
    Array.from({ length: 20 }, (_, n) => n),
  );
});
