import type { Outgoing } from "./destination.ts";

// https://cloud.google.com/pubsub/quotas: Pub/Sub refuses the whole publish for one attribute beyond these.
const MAX_ATTRIBUTES = 100;
const MAX_NAME_BYTES = 256;
const MAX_VALUE_BYTES = 1024;

/**
 * A message as Pub/Sub takes it in JSON (REST, `PubsubMessage`): the payload as `data`, everything else that a receiver
 * needs as attributes, absent where the field is. A metadata entry is `metadata.<name>` and left out when it goes beyond
 * Pub/Sub's limits (name 256 bytes, value 1,024, 100 attributes); messages-get answers all of them.
 */
export function pubsubMessageOf(message: Outgoing): string {
  const data = Buffer.from(JSON.stringify(message.payload)).toString("base64");
  return JSON.stringify({ data, attributes: attributesOf(message), orderingKey: message.orderingKey });
}

function attributesOf(message: Outgoing): Record<string, string> {
  const own = Object.entries({
    messageId: message.messageId,
    aiAgentAddress: message.recipientAddress,
    timestampPublished: message.acceptedAt,
    senderId: message.senderAddress,
    correlationId: message.correlationId,
    senderProvidedMessageId: message.senderMessageId,
    contentType: "application/json",
    messageType: message.messageType,
    priority: message.priority,
    traceparent: message.traceparent,
    inReplyTo: message.inReplyTo,
    replyToAddress: message.replyToAddress,
    attempt: String(message.attempt),
  }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const metadata = Object.entries(message.metadata ?? {})
    .map(([name, value]): [string, string] => [`metadata.${name}`, value])
    .filter(
      ([name, value]) => Buffer.byteLength(name) <= MAX_NAME_BYTES && Buffer.byteLength(value) <= MAX_VALUE_BYTES,
    );
  return Object.fromEntries([...own, ...metadata].slice(0, MAX_ATTRIBUTES));
}
