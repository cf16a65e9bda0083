import * as z from "zod";
import {
  AiAgentAddress,
  JsonObject,
  notReserved,
  Page,
  ProblemItem,
  pageOf,
  sizedObject,
  stringMap,
  Timestamp,
  TimestampInput,
  text,
  Uuid,
} from "./common.ts";

/** Most bytes of a message's payload as JSON in UTF-8. */
export const MAX_PAYLOAD_BYTES = 256 * 1024;

export const Priority = z.enum(["CRITICAL", "HIGH", "NORMAL", "LOW"]).meta({
  id: "Priority",
  description: "A head start of 60 seconds of waiting for each step, not a privilege: nothing starves.",
});
export const MessageStatus = z
  .enum(["QUEUED", "LEASED", "DELIVERED", "ACKNOWLEDGED", "EXPIRED", "CANCELLED", "DEAD_LETTERED"])
  .meta({ id: "MessageStatus" });

const payload = sizedObject(MAX_PAYLOAD_BYTES);

const sent = {
  recipientAddress: AiAgentAddress,
  senderAddress: AiAgentAddress.refine(notReserved, "is reserved for the system"),
  messageType: text(255),
  payload,
  metadata: stringMap(64).optional(),
  priority: Priority,
  timeToLiveSeconds: z.int().min(1).max(1_209_600).meta({ description: "Not handed out later; default 7 days." }),
  deliverAfter: TimestampInput.optional().meta({ description: "Not handed out earlier." }),
  orderingKey: text(255).optional().meta({
    description: "Messages of one key are handed out strictly one after the other, in order of arrival.",
  }),
  correlationId: text(255).optional(),
  inReplyTo: Uuid.optional().meta({ description: "The message this one answers." }),
  replyToAddress: AiAgentAddress.optional(),
  senderMessageId: text(255).optional().meta({
    description:
      "The sender's own id: makes the send idempotent per sender for 14 days. A retry must be the same in every field.",
  }),
};

/** What sends a message. */
export const MessageToSend = z
  .strictObject({
    ...sent,
    messageType: sent.messageType.default("message"),
    priority: Priority.default("NORMAL"),
    timeToLiveSeconds: sent.timeToLiveSeconds.default(604_800),
    ifInactive: z.enum(["hold", "reject"]).default("hold").meta({
      description: "When the recipient is unhealthy or offline: hold until it is back, or refuse with 409.",
    }),
  })
  .meta({ id: "MessageToSend" });

export const MessageAccepted = z
  .strictObject({
    messageId: z.guid(),
    status: MessageStatus,
    recipientAddress: z.string(),
    acceptedAt: Timestamp,
    expiresAt: Timestamp,
  })
  .meta({ id: "MessageAccepted" });

export const MessageBatch = z.strictObject({ messages: z.array(MessageToSend).min(1).max(500) });
export const MessageBatchSent = z.strictObject({
  results: z.array(
    z.union([
      MessageAccepted.extend({
        replayed: z.literal(true).optional().meta({ description: "The senderMessageId was known: the first answer." }),
      }),
      z.strictObject({ problem: ProblemItem }),
    ]),
  ),
});

const Attempt = z
  .strictObject({
    number: z.int(),
    at: Timestamp,
    outcome: z.enum(["LEASED", "ACKNOWLEDGED", "DELIVERED", "FAILED", "LEASE_EXPIRED", "INTERRUPTED"]).meta({
      description: "`INTERRUPTED`: given up by the service itself, and not counted; the number comes again.",
    }),
    statusCode: z.int().optional().meta({ description: "The HTTP status that the destination answered." }),
    detail: z.string().optional().meta({ description: "Why it failed, or under what name the destination has it." }),
    milliseconds: z.int().optional().meta({ description: "How long it took; of a lease, how long it was held." }),
  })
  .meta({ id: "Attempt", description: "One time the message was handed out or sent, and what came of it." });

/** A message with its timeline. */
export const Message = z
  .strictObject({
    messageId: z.guid(),
    status: MessageStatus.meta({ description: "Effective at the moment of reading, whether or not a sweep came by." }),
    recipientAddress: z.string(),
    senderAddress: z.string(),
    messageType: z.string(),
    payload: JsonObject,
    metadata: z.record(z.string(), z.string()).optional(),
    priority: Priority,
    timeToLiveSeconds: z.int(),
    orderingKey: z.string().optional(),
    correlationId: z.string().optional(),
    inReplyTo: z.guid().optional(),
    replyToAddress: z.string().optional(),
    senderMessageId: z.string().optional(),
    traceparent: z.string().optional(),
    acceptedAt: Timestamp,
    availableAt: Timestamp.optional().meta({
      description: "When it may be handed out (again), unless it is finished.",
    }),
    expiresAt: Timestamp,
    attempt: z.int(),
    firstLeasedAt: Timestamp.optional(),
    deliveredAt: Timestamp.optional(),
    acknowledgedAt: Timestamp.optional(),
    finishedAt: Timestamp.optional(),
    deadLetterReason: z.string().optional(),
    attempts: z.array(Attempt),
  })
  .meta({ id: "Message" });

/** A message in a puller's hand: `leaseToken` proves the right to it until `leaseExpiresAt`. */
export const PulledMessage = Message.extend({ leaseToken: z.string(), leaseExpiresAt: Timestamp }).meta({
  id: "PulledMessage",
});

export const MessagePath = z.strictObject({ messageId: Uuid });
export const MessageFilter = z.strictObject({
  recipientAddress: AiAgentAddress.optional(),
  senderAddress: AiAgentAddress.optional(),
  status: MessageStatus.optional(),
  messageType: text(255).optional(),
  correlationId: text(255).optional(),
  after: TimestampInput.optional().meta({ description: "Accepted at or after." }),
  before: TimestampInput.optional().meta({ description: "Accepted before." }),
  ...Page,
});
export const MessagePage = pageOf(Message);

export const Pull = z.strictObject({
  maxMessages: z.int().min(1).max(100).default(10),
  leaseSeconds: z.int().min(5).max(3600).default(60),
  waitSeconds: z.int().min(0).max(30).default(0).meta({ description: "How long to wait for a first message." }),
});
export const Pulled = z.strictObject({
  messages: z.array(PulledMessage),
  remaining: z.int().meta({ description: "More that could be pulled now, counted to 100, which means that or more." }),
});

const leaseTokens = z.array(z.string().max(100)).min(1).max(100);
const leaseSeconds = z.int().min(5).max(3600);
const refused = z.array(z.strictObject({ leaseToken: z.string(), code: z.literal("lease_expired") })).meta({
  description: "Tokens whose lease is over: it ran out, or the message is finished or in another hand.",
});
const messageIds = z.array(z.guid());

export const Ack = z.strictObject({ leaseTokens });
export const Acked = z.strictObject({ acknowledged: messageIds, refused });

export const Nack = z.strictObject({
  leaseTokens,
  retryAfterSeconds: z.int().min(0).max(86_400).optional().meta({ description: "Instead of the growing back-off." }),
  reason: text(1000).optional(),
});
export const Nacked = z.strictObject({
  returned: messageIds.meta({ description: "Will be handed out again." }),
  deadLettered: messageIds.meta({ description: "It was their last attempt." }),
  refused,
});

export const Redrive = z.strictObject({
  messageIds: z.array(Uuid).min(1).max(10_000).optional().meta({ description: "None: all dead letters of the inbox." }),
});
export const Redriven = z.strictObject({
  redriven: z.int().meta({ description: "At most 10,000 a call; when it is as many, there may be more." }),
});

/** What a run of the dispatcher did. */
export const Delivered = z.strictObject({
  delivered: z.int(),
  failed: z.int().meta({ description: "Attempts that failed, the last ones included." }),
  deadLettered: z.int(),
});

export const Extend = z.strictObject({ leaseTokens, leaseSeconds });
export const Extended = z.strictObject({ extended: messageIds, leaseExpiresAt: Timestamp.optional(), refused });
