import type * as z from "zod";
import type { Message } from "../schemas/message.ts";

/** A message on its way to a destination. */
export type Outgoing = Pick<
  z.output<typeof Message>,
  | "messageId"
  | "recipientAddress"
  | "senderAddress"
  | "messageType"
  | "payload"
  | "metadata"
  | "priority"
  | "orderingKey"
  | "correlationId"
  | "inReplyTo"
  | "replyToAddress"
  | "senderMessageId"
  | "traceparent"
  | "acceptedAt"
  | "attempt"
>;

/** What one attempt came to, for its receipt. */
export interface Outcome {
  delivered: boolean;
  /** Why not, or under what name the destination has it. */
  detail?: string;
  /** The HTTP status answered, when there was an answer. */
  statusCode?: number;
  /** How long the destination asks to be left alone. */
  retryAfterSeconds?: number;
  /** Given up by us, or not even begun: it is no attempt. */
  interrupted?: boolean;
  /** The destination says that it is gone for good. */
  gone?: boolean;
}
