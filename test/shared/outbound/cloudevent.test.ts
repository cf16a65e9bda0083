import { type CloudEvent, HTTP } from "cloudevents";
import { assert, constantFrom, dictionary, jsonValue, option, property, record, string } from "fast-check";
import { expect, test } from "vitest";
import { parseExactly } from "../../../shared/json.ts";
import { CLOUDEVENT_TYPE, cloudEventOf } from "../../../shared/outbound/cloudevent.ts";
import type { Outgoing } from "../../../shared/outbound/destination.ts";

const word = string({ unit: "binary", minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
const messages = record({
  messageId: constantFrom("019a0000-0000-7000-8000-000000000001"),
  recipientAddress: word,
  senderAddress: word,
  messageType: word,
  payload: dictionary(word, jsonValue()),
  metadata: option(dictionary(word, word), { nil: undefined }),
  priority: constantFrom("CRITICAL", "HIGH", "NORMAL", "LOW"),
  orderingKey: option(word, { nil: undefined }),
  correlationId: option(word, { nil: undefined }),
  traceparent: constantFrom("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", undefined),
  acceptedAt: constantFrom("2026-11-21T10:00:00.000Z"),
  attempt: constantFrom(1, 20),
});

test("whatever a message holds, the SDK reads it as a valid event with the same data", () => {
  assert(
    property(messages, (given) => {
      const message = given as Outgoing;
      const event = HTTP.toEvent({
        headers: { "content-type": CLOUDEVENT_TYPE },
        body: cloudEventOf(message),
      }) as CloudEvent;
      expect(event.validate()).toBe(true);
      expect(event.data).toEqual(JSON.parse(JSON.stringify(message.payload)));
      expect(event.id).toBe(message.messageId);
      expect(event.time).toBe(message.acceptedAt);
      expect(decodeURIComponent(event.source.slice("/v1/agent-inboxes/".length))).toBe(message.senderAddress);
      expect(event.correlationid).toBe(message.correlationId);
      expect(event.partitionkey).toBe(message.orderingKey);
      expect(event.traceparent).toBe(message.traceparent);
      if (message.metadata) expect(JSON.parse(event.metadata as string)).toEqual(message.metadata);
    }),
  );
});

test("a number that no double can keep arrives digit for digit", () => {
  const payload = parseExactly('{"id":9007199254740993}');
  const message = { messageId: "m", senderAddress: "a", recipientAddress: "b", messageType: "t", payload };
  expect(cloudEventOf(message as Outgoing)).toContain('"data":{"id":9007199254740993}');
});
