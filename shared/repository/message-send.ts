import { createHash } from "node:crypto";
import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { forbidden, inboxNotFound, Problem } from "../errors.ts";
import { priorityRank, SECONDS_PER_STEP } from "../rules/priority.ts";
import { DELIVERIES, inboxTopic } from "../rules/topics.ts";
import { Timestamp } from "../schemas/common.ts";
import type { MessageToSend } from "../schemas/message.ts";
import { refusals } from "./authority.ts";
import type { Context } from "./index.ts";

/** How long a sender's own message id keeps its send idempotent. */
const KEYS_KEPT = sql`interval '14 days'`;

/** What became of one send; without `messageId` its inbox refused it, or (not `found`) is not there. */
export const Sent = z.object({
  found: z.boolean().default(true),
  messageId: z.string().optional(),
  acceptedAt: Timestamp.optional(),
  expiresAt: Timestamp.optional(),
  recipientAddress: z.string().optional(),
  /** The sender's message id was known, and this is its first answer; `reused`: that of another body. */
  replayed: z.boolean(),
  /** Whether the dispatcher takes it from here. */
  pushed: z.boolean().default(false),
  reused: z.boolean().default(false),
});

/**
 * Accepts a message: look-up, check and insert are one statement. `replayed` says that the sender's message id was
 * known and this is the first answer again.
 * @throws Problem inbox_not_found, inbox_inactive, message_id_reused; forbidden when the caller is not the sender
 */
export function sending(context: Context) {
  const { db, now, hints } = context;
  return async function send(given: z.output<typeof MessageToSend>, traceparent: string | undefined) {
    if ((await refusals(context, [given.senderAddress])).size > 0) throw notTheSender(given.senderAddress);
    const once = given.senderMessageId !== undefined;
    const sent = await db.one(
      once ? "messages.send_once" : "messages.send",
      Sent,
      once ? sendOnce(given, traceparent) : sendAlways(given, traceparent),
      () => inboxNotFound(given.recipientAddress),
    );
    const result = resultOf(sent, given.recipientAddress);
    if (result instanceof Problem) throw result;
    if (!result.replayed) db.afterCommit(() => hints.publish(topicOf(sent, given.recipientAddress)));
    return result;
  };

  /** CTE `inbox`: the recipient's row, held against deletion, and whether it refuses messages. */
  function recipient(given: z.output<typeof MessageToSend>): Sql {
    return sql`inbox as materialized (
      select i.ai_agent_address, i.inbox_destination_type <> 'PULL_QUEUE' as pushed,
        i.admin_status <> 'ACTIVE' or i.quarantined_at is not null
          or (${given.ifInactive === "reject"}::boolean and i.status <> 'ACTIVE') as inactive
      from cams.agent_inboxes i
      where i.ai_agent_address = ${given.recipientAddress}
      for key share
    )`;
  }

  /** The new row, made from the one row of `source`. */
  function insertion(
    given: z.output<typeof MessageToSend>,
    id: Sql,
    source: Sql,
    traceparent: string | undefined,
  ): Sql {
    const due = sql`greatest(${now}, ${given.deliverAfter}::timestamptz)`;
    return sql`
      ${insertMessages}
      select
        ${id}, ${given.recipientAddress}, ${given.senderAddress}, ${given.messageType},
        ${JSON.stringify(given.payload)}::json, ${given.metadata && JSON.stringify(given.metadata)}::jsonb,
        ${priorityRank(given.priority)}::smallint,
        ${given.timeToLiveSeconds}::integer, ${given.orderingKey}, ${given.correlationId}, ${given.inReplyTo}::uuid,
        ${given.replyToAddress}, ${given.senderMessageId}, ${traceparent},
        ${now}, ${due} + make_interval(secs => ${(priorityRank(given.priority) - 1) * SECONDS_PER_STEP}), ${due},
        ${now} + make_interval(secs => ${given.timeToLiveSeconds}::integer)
      from ${source}`;
  }

  function sendAlways(given: z.output<typeof MessageToSend>, traceparent: string | undefined): Sql {
    return sql`
      with ${recipient(given)}, message as (
        ${insertion(given, sql`cams.uuid7(${now})`, sql`inbox where not inactive`, traceparent)}
        returning message_id, accepted_at, expires_at
      )
      select false as replayed, inbox.pushed, message.message_id as "messageId",
        message.accepted_at as "acceptedAt", message.expires_at as "expiresAt"
      from inbox left join message on true`;
  }

  /** As `sendAlways`, but the sender's message id decides: of N at once one makes the row, all get its answer. */
  function sendOnce(given: z.output<typeof MessageToSend>, traceparent: string | undefined): Sql {
    const hash = bodyHash(given);
    const key = sql`
      select ${given.senderAddress}, ${given.senderMessageId}, fresh.message_id, ${hash}::bytea,
        ${given.recipientAddress}, ${now}, ${now} + make_interval(secs => ${given.timeToLiveSeconds}::integer)
      from inbox, fresh
      where not inactive and not exists (select from known)`;
    return sql`
      with ${recipient(given)}, fresh as materialized (
        select cams.uuid7(${now}) as message_id
      ), known as materialized (
        select k.* from cams.message_keys k
        where k.sender_address = ${given.senderAddress} and k.sender_message_id = ${given.senderMessageId}
          and k.kept_until > ${now}
      ), ${takeKeys(now, key)}, message as (
        ${insertion(given, sql`key.message_id`, sql`key, fresh where key.message_id = fresh.message_id`, traceparent)}
        returning message_id
      ), answer as (
        select * from known union all select * from key
      )
      select answer.message_id is not null and not exists (select from message) as replayed, inbox.pushed,
        answer.body_hash <> ${hash}::bytea as reused,
        answer.message_id as "messageId", answer.accepted_at as "acceptedAt", answer.expires_at as "expiresAt",
        answer.recipient_address as "recipientAddress"
      from (select) one left join inbox on true left join answer on true
      where inbox.ai_agent_address is not null or answer.message_id is not null`;
  }
}

/** The refusal of a sender that the caller does not act for; whether it is registered is nothing to the caller. */
export function notTheSender(address: string): Problem {
  return forbidden(`The sender ${address} is not yours.`);
}

/** What a new row is made of. */
export const insertedColumns = sql`
  message_id, recipient_address, sender_address, message_type, payload, metadata, priority, time_to_live_seconds,
  ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id, traceparent, accepted_at, rank_at,
  available_at, expires_at`;
/** What new rows are inserted into; a `select` of the columns follows. */
export const insertMessages = sql`insert into cams.messages (${insertedColumns})`;

/**
 * CTE `key`: takes the senders' message ids for the messages of `source` (all columns but the last), or answers for
 * which message another send took them.
 */
export function takeKeys(now: Sql, source: Sql): Sql {
  const lapsed = (column: Sql) => sql`case when k.kept_until <= ${now} then excluded.${column} else k.${column} end`;
  return sql`
    key as (
      insert into cams.message_keys as k (
        sender_address, sender_message_id, message_id, body_hash, recipient_address, accepted_at, expires_at,
        kept_until)
      select taken.*, ${now} + ${KEYS_KEPT} from (${source}) taken
      on conflict (sender_address, sender_message_id) do update set
        message_id = ${lapsed(sql`message_id`)}, body_hash = ${lapsed(sql`body_hash`)},
        recipient_address = ${lapsed(sql`recipient_address`)}, accepted_at = ${lapsed(sql`accepted_at`)},
        expires_at = ${lapsed(sql`expires_at`)}, kept_until = ${lapsed(sql`kept_until`)}
      returning k.*
    )`;
}

/** Who is to know that a message has come. */
export function topicOf({ pushed }: z.output<typeof Sent>, address: string): string {
  return pushed ? DELIVERIES : inboxTopic(address);
}

/** What the sender is answered. */
export function resultOf(sent: z.output<typeof Sent>, address: string) {
  const { found, messageId, acceptedAt, expiresAt, recipientAddress = address, replayed, reused } = sent;
  if (!found) return inboxNotFound(address);
  if (messageId === undefined || !acceptedAt || !expiresAt)
    return new Problem("inbox_inactive", `The inbox ${address} does not take messages now.`);
  if (reused) return new Problem("message_id_reused", `senderMessageId was used for the message ${messageId}.`);
  return { replayed, accepted: { messageId, status: "QUEUED" as const, recipientAddress, acceptedAt, expiresAt } };
}

/** What makes two sends under one message id the same send. */
export function bodyHash(given: z.output<typeof MessageToSend>): Buffer {
  return createHash("sha256").update(JSON.stringify(given)).digest();
}
