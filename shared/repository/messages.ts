import { createHash } from "node:crypto";
import { z } from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { inboxNotFound, Problem } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { priorityRank, SECONDS_PER_STEP } from "../rules/priority.ts";
import { Timestamp } from "../schemas/common.ts";
import { type MessageFilter, MessageStatus, type MessageToSend } from "../schemas/message.ts";
import type { Context } from "./index.ts";
import { archivedMessage, finish, liveMessage, liveStatus, Message } from "./message-rows.ts";

/** How long a sender's own message id keeps its send idempotent. */
const KEYS_KEPT = sql`interval '14 days'`;
const Cursor = z.tuple([z.guid()]);

const Sent = z.object({
  inactive: z.boolean(),
  messageId: z.string().optional(),
  acceptedAt: Timestamp.optional(),
  expiresAt: Timestamp.optional(),
  recipientAddress: z.string().optional(),
  bodyHash: z.instanceof(Buffer).optional(),
  replayed: z.boolean(),
});

/** Messages from acceptance to their end; what a puller does with a lease is in `leases`. */
export function messages({ db, now, hints, transaction }: Context) {
  return {
    /**
     * Accepts a message: look-up, check and insert are one statement. `replayed` says that the sender's message id was
     * known and this is the first answer again.
     * @throws Problem inbox_not_found, inbox_inactive, message_id_reused
     */
    async send(given: z.output<typeof MessageToSend>, traceparent: string | undefined) {
      const hash = given.senderMessageId === undefined ? undefined : bodyHash(given);
      const sent = await db.one(
        hash ? "messages.send_once" : "messages.send",
        Sent,
        hash ? sendOnce(given, hash, traceparent) : sendAlways(given, traceparent),
        () => inboxNotFound(given.recipientAddress),
      );
      const { messageId, acceptedAt, expiresAt, replayed } = sent;
      if (messageId === undefined || !acceptedAt || !expiresAt) {
        throw new Problem("inbox_inactive", `The inbox ${given.recipientAddress} does not take messages now.`);
      }
      if (hash && sent.bodyHash && !hash.equals(sent.bodyHash)) {
        throw new Problem("message_id_reused", `senderMessageId was used for the message ${messageId}.`);
      }
      if (!replayed) db.afterCommit(() => hints.publish(`inbox:${given.recipientAddress}`));
      const recipientAddress = sent.recipientAddress ?? given.recipientAddress;
      return { replayed, accepted: { messageId, status: "QUEUED" as const, recipientAddress, acceptedAt, expiresAt } };
    },

    /** @throws Problem message_not_found */
    async get(messageId: string) {
      return db.one(
        "messages.get",
        Message,
        sql`
          select ${liveMessage(now)} from cams.messages m where m.message_id = ${messageId}
          union all
          select ${archivedMessage} from cams.message_archive m
          where m.message_id = ${messageId} and m.finished_at >= cams.uuid7_time(${messageId}::uuid)`,
        noMessage(messageId),
      );
    },

    /** Newest first, live and archived in one snapshot. */
    async list(filter: z.output<typeof MessageFilter>) {
      const cursor = readCursor(Cursor, filter.pageToken);
      const rowsOf = (status: Sql) =>
        and([
          filter.recipientAddress !== undefined && sql`m.recipient_address = ${filter.recipientAddress}`,
          filter.senderAddress !== undefined && sql`m.sender_address = ${filter.senderAddress}`,
          filter.messageType !== undefined && sql`m.message_type = ${filter.messageType}`,
          filter.correlationId !== undefined && sql`m.correlation_id = ${filter.correlationId}`,
          filter.after !== undefined && sql`m.accepted_at >= ${filter.after}::timestamptz`,
          filter.before !== undefined && sql`m.accepted_at < ${filter.before}::timestamptz`,
          filter.status && sql`${status} = ${filter.status}`,
          cursor && sql`m.message_id < ${cursor[0]}::uuid`,
        ]);
      const after = filter.after === undefined ? sql`true` : sql`m.finished_at >= ${filter.after}::timestamptz`;
      const rows = await db.many(
        "messages.list",
        Message,
        sql`
          (select ${liveMessage(now)} from cams.messages m where ${rowsOf(liveStatus(now))}
           order by m.message_id desc limit ${filter.pageSize + 1})
          union all
          (select ${archivedMessage} from cams.message_archive m where ${rowsOf(sql`m.status`)} and ${after}
           order by m.message_id desc limit ${filter.pageSize + 1})
          order by "messageId" desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, (row) => [row.messageId]);
    },

    /** @throws Problem message_not_found, message_finished */
    async cancel(messageId: string) {
      return transaction(async (repo, db) => {
        const cancelled = await db.execute(
          "messages.cancel",
          sql`
            with ending as materialized (
              select m.message_id from cams.messages m
              where m.message_id = ${messageId} and m.ends_at > ${now}
              for update
            ), ${finish(now, { status: sql`'CANCELLED'`, outcome: sql`'FAILED'`, detail: sql`'cancelled'` })}
            select from archived`,
        );
        const message = await repo.messages.get(messageId);
        if (cancelled === 0) throw new Problem("message_finished", `The message is ${message.status} already.`);
        return message;
      });
    },

    /** Ends every live message of an address as a dead letter; what had ended already keeps its own end. */
    async deadLetterAll(address: string, reason: string): Promise<number> {
      return db.execute(
        "messages.dead_letter_all",
        sql`
          with ending as materialized (
            select m.message_id from cams.messages m
            where m.recipient_address = ${address}
            order by m.message_id
            for update
          ), ${finish(now, {
            status: sql`case when m.ends_at <= ${now} and not m.last_attempt then 'EXPIRED' else 'DEAD_LETTERED' end`,
            outcome: sql`case when m.available_at > ${now} then 'FAILED' else 'LEASE_EXPIRED' end`,
            deadLetterReason: sql`
              case when m.ends_at > ${now} then ${reason}::text when m.last_attempt then 'attempts_exhausted' end`,
          })}
          select from archived`,
      );
    },

    /** Archives what has ended in effect and nobody pulled, at most `limit` rows, of one address or of all. */
    async archiveEnded(limit: number, address?: string) {
      return db.one(
        "messages.archive_ended",
        z.object({ expired: z.int(), deadLettered: z.int() }),
        sql`
          with ending as materialized (
            select m.message_id from cams.messages m
            where ${and([sql`m.ends_at <= ${now}`, address !== undefined && sql`m.recipient_address = ${address}`])}
            order by m.ends_at
            limit ${limit}
            for update skip locked
          ), ${finish(now, {
            status: sql`case when m.last_attempt then 'DEAD_LETTERED' else 'EXPIRED' end`,
            outcome: sql`'LEASE_EXPIRED'`,
            deadLetterReason: sql`case when m.last_attempt then 'attempts_exhausted' end`,
          })}
          select
            count(*) filter (where status = 'EXPIRED') as expired,
            count(*) filter (where status = 'DEAD_LETTERED') as "deadLettered"
          from archived`,
      );
    },

    /** How much waits to be handed out, and for how long the oldest of it does: for the metrics. */
    async backlog() {
      return db.one(
        "messages.backlog",
        z.object({ pending: z.int(), oldestAgeSeconds: z.number() }),
        sql`
          select count(*) as pending,
            coalesce(extract(epoch from max(${now} - m.accepted_at)), 0)::float8 as "oldestAgeSeconds"
          from cams.messages m
          where m.ends_at > ${now}`,
      );
    },
  };

  /** CTE `inbox`: the recipient's row, held against deletion, and whether it refuses messages. */
  function recipient(given: z.output<typeof MessageToSend>): Sql {
    return sql`inbox as materialized (
      select i.ai_agent_address,
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
      insert into cams.messages (
        message_id, recipient_address, sender_address, message_type, payload, metadata, priority,
        time_to_live_seconds, ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id,
        traceparent, accepted_at, rank_at, available_at, expires_at)
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
      select inbox.inactive, false as replayed, message.message_id as "messageId",
        message.accepted_at as "acceptedAt", message.expires_at as "expiresAt"
      from inbox left join message on true`;
  }

  /** As `sendAlways`, but the sender's message id decides: of N at once one makes the row, all get its answer. */
  function sendOnce(given: z.output<typeof MessageToSend>, hash: Buffer, traceparent: string | undefined): Sql {
    const lapsed = (column: Sql) => sql`case when k.kept_until <= ${now} then excluded.${column} else k.${column} end`;
    return sql`
      with ${recipient(given)}, fresh as materialized (
        select cams.uuid7(${now}) as message_id
      ), known as materialized (
        select k.* from cams.message_keys k
        where k.sender_address = ${given.senderAddress} and k.sender_message_id = ${given.senderMessageId}
          and k.kept_until > ${now}
      ), key as (
        insert into cams.message_keys as k (
          sender_address, sender_message_id, message_id, body_hash, recipient_address, accepted_at, expires_at,
          kept_until)
        select ${given.senderAddress}, ${given.senderMessageId}, fresh.message_id, ${hash}::bytea,
          ${given.recipientAddress}, ${now}, ${now} + make_interval(secs => ${given.timeToLiveSeconds}::integer),
          ${now} + ${KEYS_KEPT}
        from inbox, fresh
        where not inactive and not exists (select from known)
        on conflict (sender_address, sender_message_id) do update set
          message_id = ${lapsed(sql`message_id`)}, body_hash = ${lapsed(sql`body_hash`)},
          recipient_address = ${lapsed(sql`recipient_address`)}, accepted_at = ${lapsed(sql`accepted_at`)},
          expires_at = ${lapsed(sql`expires_at`)}, kept_until = ${lapsed(sql`kept_until`)}
        returning k.*
      ), message as (
        ${insertion(given, sql`key.message_id`, sql`key, fresh where key.message_id = fresh.message_id`, traceparent)}
        returning message_id
      ), answer as (
        select * from known union all select * from key
      )
      select coalesce(inbox.inactive, false) as inactive,
        answer.message_id is not null and not exists (select from message) as replayed,
        answer.message_id as "messageId", answer.accepted_at as "acceptedAt", answer.expires_at as "expiresAt",
        answer.recipient_address as "recipientAddress", answer.body_hash as "bodyHash"
      from (select) one left join inbox on true left join answer on true
      where inbox.ai_agent_address is not null or answer.message_id is not null`;
  }
}

/** What makes two sends under one message id the same send. */
function bodyHash(given: z.output<typeof MessageToSend>): Buffer {
  return createHash("sha256").update(JSON.stringify(given)).digest();
}

function noMessage(messageId: string): () => Problem {
  return () => new Problem("message_not_found", `There is no message ${messageId}.`);
}

export { MessageStatus };
