import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { forbidden, Problem } from "../errors.ts";
import { topicsOf } from "../rules/topics.ts";
import { Message } from "../schemas/message.ts";
import { guarded, messageIsCancellable, messageIsVisible } from "./authority.ts";
import type { Context } from "./index.ts";
import { listing } from "./message-list.ts";
import { archivedMessage, finish, linesLocked, liveMessage, lockLines } from "./message-rows.ts";
import { sending } from "./message-send.ts";
import { sendingBatch } from "./message-send-batch.ts";
import { redriving } from "./redrive.ts";

const Archived = z.object({ expired: z.int(), deadLettered: z.int() });
const Age = z.object({ age: z.number() });
const Backlog = z.object({ pending: z.int(), oldestAgeSeconds: z.number() });

/** Messages from acceptance to their end; what a puller does with a lease is in `leases`. */
export function messages(context: Context) {
  const { db, now, hints, caller, transaction } = context;
  async function archiveEndedWhere(which: Sql, limit: number) {
    return db.one(
      "messages.archive_ended",
      Archived,
      sql`
        with ended as materialized (
          -- What stands behind its head takes no lock.
          select m.message_id, m.recipient_address, case when not m.blocked then m.ordering_key end as ordering_key
          from cams.messages m
          where ${which} and m.ends_at <= ${now}
          order by m.ends_at
          limit ${limit}
          for update skip locked
        ), ${lockLines(sql`ended`)}, ending as (
          select message_id from ended where ${linesLocked}
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
  }

  return {
    send: sending(context),
    ...guarded(context, redriving(context)),
    sendBatch: sendingBatch(context),
    list: listing(context),

    /** @throws Problem message_not_found */
    async get(messageId: string) {
      return db.one(
        "messages.get",
        Message,
        sql`
          select ${liveMessage(now)} from cams.messages m
          where ${and([sql`m.message_id = ${messageId}`, messageIsVisible(caller)])}
          union all
          select ${archivedMessage} from cams.message_archive m
          where ${and([
            sql`m.message_id = ${messageId} and m.finished_at >= cams.uuid7_time(${messageId}::uuid)`,
            messageIsVisible(caller),
          ])}`,
        noMessage(messageId),
      );
    },

    /**
     * Ends a message on behalf of its sender, or of an operator whose team owns the sender's or the recipient's inbox.
     * @throws Problem message_not_found, message_finished, forbidden
     */
    async cancel(messageId: string) {
      return transaction(async (repo, { db }) => {
        const cancelled = await db.execute(
          "messages.cancel",
          sql`
            with ending as materialized (
              select m.message_id from cams.messages m
              where ${and([sql`m.message_id = ${messageId} and m.ends_at > ${now}`, messageIsCancellable(caller)])}
              for update
            ), ${finish(now, { status: sql`'CANCELLED'`, outcome: sql`'FAILED'`, detail: sql`'cancelled'` })}
            select from archived`,
        );
        const message = await repo.messages.get(messageId);
        if (cancelled === 0)
          throw message.finishedAt === undefined
            ? forbidden("Only its sender may cancel a message.")
            : new Problem("message_finished", `The message is ${message.status} already.`);
        if (message.orderingKey)
          for (const topic of topicsOf(message.recipientAddress)) db.afterCommit(() => hints.publish(topic));
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
            -- Lines from the head on: what ends a head at the same time waits for the one behind it.
            order by m.seq
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

    /**
     * Archives what has ended in effect and nobody pulled, about `limit` rows; `more` says that there may be others. Of
     * one address only what its ordering keys wait behind.
     *
     * First what stands behind the head of a line, then what does not, each committed by itself: the first waits for
     * nobody, and the end of a head waits for nobody but such. In one statement two of them that skip each other's rows
     * would hold what the other waits for.
     */
    async archiveEnded(limit: number, address?: string) {
      const of =
        address === undefined
          ? sql`m.priority > 0`
          : sql`m.recipient_address = ${address} and m.ordering_key is not null`;
      const behind = await archiveEndedWhere(sql`m.blocked and ${of}`, limit);
      if (behind.expired === limit) return { ...behind, more: true };
      const free = await archiveEndedWhere(sql`not m.blocked and ${of}`, limit);
      const { deadLettered } = free;
      return { expired: behind.expired + free.expired, deadLettered, more: free.expired + deadLettered === limit };
    },

    /** How much waits to be handed out, and for how long the oldest of it does: for the metrics. */
    async backlog() {
      return db.one(
        "messages.backlog",
        Backlog,
        sql`
          select count(*) as pending,
            coalesce(extract(epoch from max(${now} - m.accepted_at)), 0)::float8 as "oldestAgeSeconds"
          from cams.messages m
          where m.ends_at > ${now}`,
      );
    },

    /** For how many seconds the oldest live message has been here, by its id: no matter how many there are. */
    async oldestAgeSeconds(): Promise<number> {
      const oldest = await db.maybe(
        "messages.oldest_age",
        Age,
        sql`
          select extract(epoch from ${now} - m.accepted_at)::float8 as age
          from cams.messages m
          where m.ends_at > ${now}
          order by m.message_id
          limit 1`,
      );
      return oldest?.age ?? 0;
    },
  };
}

function noMessage(messageId: string): () => Problem {
  return () => new Problem("message_not_found", `There is no message ${messageId}.`);
}
