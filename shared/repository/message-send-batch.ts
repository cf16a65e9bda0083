import type * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { priorityRank, SECONDS_PER_STEP } from "../rules/priority.ts";
import type { MessageToSend } from "../schemas/message.ts";
import { refusals } from "./authority.ts";
import type { Context } from "./index.ts";
import { linesLocked, lockLines } from "./message-rows.ts";
import { bodyHash, insertMessages, notTheSender, resultOf, Sent, takeKeys, topicOf } from "./message-send.ts";

type Given = z.output<typeof MessageToSend>;
type Row = z.output<typeof Sent>;
type Result = ReturnType<typeof resultOf>;

/**
 * Accepts messages, each with its own result in the place of it: all look-ups, checks and inserts are one statement.
 * What `send` throws (inbox_not_found, inbox_inactive, message_id_reused, forbidden) is such a result.
 *
 * Locks are taken in an order that all keep: inboxes, then the senders' message ids, then lines, each sorted.
 */
export function sendingBatch(context: Context) {
  const { db, now, hints } = context;
  return async function sendBatch(messages: readonly Given[], traceparent: string | undefined) {
    const senders = messages.map(({ senderAddress }) => senderAddress);
    const refused = await refusals(context, senders);
    const allowed = messages.filter(({ senderAddress }) => !refused.has(senderAddress));
    const accepted = (allowed.length > 0 ? await acceptAll(allowed, traceparent) : []).values();
    return messages.map(({ senderAddress }) =>
      refused.has(senderAddress) ? notTheSender(senderAddress) : (accepted.next().value as Result),
    );
  };

  async function acceptAll(messages: readonly Given[], traceparent: string | undefined) {
    const rows = await db.many("messages.send_batch", Sent, sendAll(messages, traceparent));
    const results = messages.map(({ recipientAddress }, index) => resultOf(rows[index] as Row, recipientAddress));
    const topics = results.flatMap((result, index) =>
      result instanceof Problem || result.replayed ? [] : topicOf(rows[index] as Row, result.accepted.recipientAddress),
    );
    for (const topic of new Set(topics)) db.afterCommit(() => hints.publish(topic));
    return results;
  }

  function sendAll(messages: readonly Given[], traceparent: string | undefined): Sql {
    const keys = sql`
      select distinct on (sender_address, sender_message_id)
        sender_address, sender_message_id, message_id, body_hash, recipient_address, accepted_at, expires_at
      from item
      where open and sender_message_id is not null and n not in (select n from known)
      order by sender_address, sender_message_id, n`;
    return sql`
      with given as materialized (
        select * from json_to_recordset(${JSON.stringify(messages.map(toRow))}::json) as g (
          n integer, recipient_address text, sender_address text, message_type text, payload text, metadata jsonb,
          priority smallint, time_to_live_seconds integer, deliver_after timestamptz, ordering_key text,
          correlation_id text, in_reply_to uuid, reply_to_address text, sender_message_id text, if_inactive text,
          body_hash bytea)
      ), ids as materialized (
        -- Lists are in the order of ids: made within one millisecond they have none, so they are sorted first.
        select row_number() over (order by message_id) as n, message_id
        from (select cams.uuid7(${now}) as message_id from given) made
      ), inbox as materialized (
        select i.ai_agent_address, i.status, i.inbox_destination_type <> 'PULL_QUEUE' as pushed, i.admin_status <> 'ACTIVE' or i.quarantined_at is not null as inactive
        from cams.agent_inboxes i
        where i.ai_agent_address = any (array(select recipient_address from given))
        order by i.ai_agent_address
        for key share
      ), item as materialized (
        select given.*, ids.message_id, ${now}::timestamptz(3) as accepted_at,
          (${now} + make_interval(secs => time_to_live_seconds))::timestamptz(3) as expires_at,
          greatest(${now}, deliver_after) as due_at, i.ai_agent_address is not null as found, i.pushed,
          coalesce(not i.inactive and (if_inactive = 'hold' or i.status = 'ACTIVE'), false) as open
        from given join ids using (n) left join inbox i on i.ai_agent_address = recipient_address
        order by n
      ), known as materialized (
        -- One by one by the key: however many they are thought to be, the table is not read through for them.
        select item.n, k.*
        from item cross join lateral (
          select * from cams.message_keys k
          where k.sender_address = item.sender_address and k.sender_message_id = item.sender_message_id
            and k.kept_until > ${now}
          limit 1
        ) k
      ), ${takeKeys(now, keys)}, arriving as materialized (
        select * from item
        where open and (sender_message_id is null or message_id in (select message_id from key))
      ), ${lockLines(sql`arriving`)}, message as (
        ${insertMessages}
        select
          message_id, recipient_address, sender_address, message_type, payload::json, metadata, priority,
          time_to_live_seconds, ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id,
          ${traceparent}, accepted_at, due_at + make_interval(secs => (priority - 1) * ${SECONDS_PER_STEP}::integer),
          due_at, expires_at
        from arriving
        where ${linesLocked}
        order by n
      ), answer as (
        select n, message_id, body_hash, recipient_address, accepted_at, expires_at from known
        union all
        select item.n, key.message_id, key.body_hash, key.recipient_address, key.accepted_at, key.expires_at
        from item join key using (sender_address, sender_message_id) left join arriving on arriving.message_id = key.message_id
        -- What was refused did not take the id that a later one took.
        where item.n not in (select n from known) and (item.open or arriving.n is null or arriving.n < item.n)
      )
      select item.found or answer.n is not null as found, item.pushed,
        answer.message_id is not null and answer.message_id <> item.message_id as replayed,
        answer.body_hash <> item.body_hash as reused,
        coalesce(answer.message_id, case when open then item.message_id end) as "messageId",
        coalesce(answer.accepted_at, item.accepted_at) as "acceptedAt",
        coalesce(answer.expires_at, item.expires_at) as "expiresAt",
        answer.recipient_address as "recipientAddress"
      from item left join answer using (n)
      order by n`;
  }
}

/** As a row of the CTE `given`. */
function toRow(message: Given, index: number) {
  return {
    n: index + 1,
    recipient_address: message.recipientAddress,
    sender_address: message.senderAddress,
    message_type: message.messageType,
    // As text: inside a record every escape is resolved, and \u0000 cannot be.
    payload: JSON.stringify(message.payload),
    metadata: message.metadata,
    priority: priorityRank(message.priority),
    time_to_live_seconds: message.timeToLiveSeconds,
    deliver_after: message.deliverAfter,
    ordering_key: message.orderingKey,
    correlation_id: message.correlationId,
    in_reply_to: message.inReplyTo,
    reply_to_address: message.replyToAddress,
    sender_message_id: message.senderMessageId,
    if_inactive: message.ifInactive,
    body_hash: message.senderMessageId && `\\x${bodyHash(message).toString("hex")}`,
  };
}
