import { expect, test } from "vitest";
import { parseExactly } from "../../../shared/json.ts";
import type { Outgoing } from "../../../shared/outbound/destination.ts";
import { createPubsub } from "../../../shared/outbound/pubsub.ts";
import { many, messageOf } from "../../support/outgoing.ts";
import { type FakePubsub, startPubsub } from "../../support/pubsub.ts";

const TOPIC = "projects/corp/topics/orders";
const never = new AbortController().signal;

const publisherTo = (fake: FakePubsub) => createPubsub({ endpoint: "http://unused.invalid", emulatorHost: fake.host });
const idsOf = (messages: Outgoing[]) => messages.map(({ messageId }) => messageId);
const publishedIds = (fake: FakePubsub) => fake.published(TOPIC).map(({ attributes }) => attributes.messageId);
const oks = (outcomes: { delivered: boolean }[]) => outcomes.map(({ delivered }) => delivered);

test("a message arrives whole: payload, every field, metadata and ordering key", async () => {
  const fake = await startPubsub(TOPIC);
  const message = messageOf({
    payload: parseExactly('{"id":9007199254740993,"text":"grüße 👋"}') as Outgoing["payload"],
    metadata: { region: "emea", empty: "" },
    priority: "HIGH",
    messageType: "order.created",
    orderingKey: "customer-7",
    correlationId: "c-1",
    inReplyTo: "01a1fd83-d8b4-7fad-95e3-1490fdf5ee05",
    replyToAddress: "replies@corp.example",
    senderMessageId: "s-1",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    attempt: 3,
  });
  const outcomes = await publisherTo(fake).publish(TOPIC, [message], never);
  expect(outcomes).toEqual([{ delivered: true, statusCode: 200, detail: "published as 1" }]);
  expect(fake.published(TOPIC)).toEqual([
    {
      id: "1",
      data: '{"id":9007199254740993,"text":"grüße 👋"}',
      attributes: {
        messageId: message.messageId,
        aiAgentAddress: "sales@corp.example",
        timestampPublished: "2026-11-21T10:00:00.000Z",
        senderId: "billing@corp.example",
        correlationId: "c-1",
        senderProvidedMessageId: "s-1",
        contentType: "application/json",
        messageType: "order.created",
        priority: "HIGH",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        inReplyTo: "01a1fd83-d8b4-7fad-95e3-1490fdf5ee05",
        replyToAddress: "replies@corp.example",
        attempt: "3",
        "metadata.region": "emea",
        "metadata.empty": "",
      },
      orderingKey: "customer-7",
    },
  ]);
});

test("a field that is absent is no attribute", async () => {
  const fake = await startPubsub(TOPIC);
  await publisherTo(fake).publish(TOPIC, [messageOf()], never);
  const [{ attributes = {}, ...rest } = {}] = fake.published(TOPIC);
  expect(Object.keys(attributes).toSorted()).toEqual(
    "aiAgentAddress attempt contentType messageId messageType priority senderId timestampPublished".split(" "),
  );
  expect(rest).not.toHaveProperty("orderingKey");
});

test("metadata beyond the limits of attributes is left out, and its message still arrives", async () => {
  const fake = await startPubsub(TOPIC);
  const metadata = {
    ["n".repeat(247)]: "longest name",
    ["n".repeat(248)]: "too long a name",
    ["ü".repeat(124)]: "too long a name in bytes",
    fits: "é".repeat(512),
    beyond: "v".repeat(1025),
    bytes: "é".repeat(513),
  };
  const crowd = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`n${index}`, "v"]));
  const outcomes = await publisherTo(fake).publish(
    TOPIC,
    [messageOf({ metadata }), messageOf({ metadata: crowd })],
    never,
  );
  expect(oks(outcomes)).toEqual([true, true]);
  const [first, second] = fake.published(TOPIC).map(({ attributes }) => Object.keys(attributes));
  expect(first?.filter((name) => name.startsWith("metadata."))).toEqual([
    `metadata.${"n".repeat(247)}`,
    "metadata.fits",
  ]);
  expect(second).toHaveLength(100);
  expect(second).toContain("attempt");
});

test("no messages need no publish", async () => {
  const fake = await startPubsub(TOPIC);
  expect(await publisherTo(fake).publish(TOPIC, [], never)).toEqual([]);
  expect(fake.requests).toEqual([]);
});

test("more than 1,000 messages go out in several publishes, in order, over kept connections", async () => {
  const fake = await startPubsub(TOPIC);
  const messages = many(4001);
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  expect(fake.requests.map((request) => request.messages)).toEqual([1000, 1000, 1000, 1000, 1]);
  expect(publishedIds(fake)).toEqual(idsOf(messages));
  expect(outcomes.map(({ detail }) => detail)).toEqual(messages.map((_, index) => `published as ${index + 1}`));
  // The answer is read a moment before its connection is free again.
  expect(fake.connections()).toBeLessThanOrEqual(2);
});

test("more than 10 MB go out in several publishes, each as full as it may be", async () => {
  const fake = await startPubsub(TOPIC);
  const messages = many(60, { payload: { text: "ü".repeat(125_000) } });
  expect(oks(await publisherTo(fake).publish(TOPIC, messages, never))).not.toContain(false);
  expect(publishedIds(fake)).toEqual(idsOf(messages));
  const sizes = fake.requests.map(({ bytes }) => bytes);
  const one = (sizes[0] ?? 0) / (fake.requests[0]?.messages ?? 1);
  expect(sizes).toHaveLength(3);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(9_500_000);
  expect((sizes[0] ?? 0) + one).toBeGreaterThan(9_500_000);
});

test("every ordering key has a publish of its own, and keeps its order", async () => {
  const fake = await startPubsub(TOPIC);
  const messages = Array.from({ length: 30 }, (_, index) =>
    messageOf(index % 3 ? { orderingKey: `k${index % 3}` } : {}),
  );
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  expect(oks(outcomes)).not.toContain(false);
  expect(fake.requests.map((request) => request.messages)).toEqual([10, 10, 10]);
  const published = fake.published(TOPIC);
  for (const key of [undefined, "k1", "k2"]) {
    const ofKey = (each: { orderingKey?: string | undefined }) => each.orderingKey === key;
    expect(published.filter(ofKey).map(({ attributes }) => attributes.messageId)).toEqual(
      idsOf(messages.filter(ofKey)),
    );
  }
  // An outcome is that of its own message, whatever the order of the publishes.
  const byId = new Map(published.map(({ id, attributes }) => [`published as ${id}`, attributes.messageId]));
  expect(outcomes.map(({ detail = "" }) => byId.get(detail))).toEqual(idsOf(messages));
});

test("one bad message fails alone", async () => {
  const fake = await startPubsub(TOPIC);
  const messages = many(8);
  messages[5] = messageOf({ correlationId: "c".repeat(1025) });
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  expect(oks(outcomes)).toEqual([true, true, true, true, true, false, true, true]);
  expect(outcomes[5]).toEqual({
    delivered: false,
    statusCode: 400,
    detail: "400 INVALID_ARGUMENT: An attribute's value is too long: at most 1024 bytes.",
  });
  expect(publishedIds(fake)).toEqual(idsOf(messages.toSpliced(5, 1)));
  expect(fake.requests.map((request) => request.messages)).toEqual([8, 4, 4, 2, 1, 1, 2]);
});

test("behind a bad message its ordering key waits, and no other does", async () => {
  const fake = await startPubsub(TOPIC);
  const bad = { correlationId: "c".repeat(1025) };
  const [first, second, third] = [
    messageOf({ orderingKey: "k" }),
    messageOf({ orderingKey: "k", ...bad }),
    messageOf({ orderingKey: "k" }),
  ];
  const other = messageOf({ orderingKey: "other" });
  const outcomes = await publisherTo(fake).publish(TOPIC, [first, second, third, other], never);
  expect(oks(outcomes)).toEqual([true, false, false, true]);
  expect(outcomes[2]?.detail).toBe("an earlier message of its ordering key was not delivered");
  expect(publishedIds(fake).toSorted()).toEqual(idsOf([first, other]));
});

test("a name with percent and colon reaches its own topic", async () => {
  const topic = "projects/corp.example:agents/topics/50%25+off~";
  const fake = await startPubsub(topic);
  expect(oks(await publisherTo(fake).publish(topic, [messageOf()], never))).toEqual([true]);
  expect(fake.published(topic)).toHaveLength(1);
});
