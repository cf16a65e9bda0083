import { pathSegment } from "../rules/paths.ts";
import type { Outgoing } from "./destination.ts";

/** The media type of an event in structured mode. */
export const CLOUDEVENT_TYPE = "application/cloudevents+json; charset=utf-8";

/**
 * A message as a CloudEvent 1.0 in structured mode (JSON text): `data` is the payload; what has no attribute of its own
 * is an extension, `metadata` as JSON text because an attribute cannot hold an object. `partitionkey` and `traceparent`
 * are the published extensions for ordering and tracing.
 */
export function cloudEventOf(message: Outgoing): string {
  return JSON.stringify({
    specversion: "1.0",
    id: message.messageId,
    type: `cams.message.${message.messageType}`,
    source: `/v1/agent-inboxes/${pathSegment(message.senderAddress)}`,
    subject: message.recipientAddress,
    time: message.acceptedAt,
    datacontenttype: "application/json",
    priority: message.priority,
    attempt: message.attempt,
    correlationid: message.correlationId,
    inreplyto: message.inReplyTo,
    replytoaddress: message.replyToAddress,
    sendermessageid: message.senderMessageId,
    partitionkey: message.orderingKey,
    metadata: message.metadata && JSON.stringify(message.metadata),
    traceparent: message.traceparent,
    data: message.payload,
  });
}
