import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { inboxNotFound } from "../errors.ts";
import { SECONDS_PER_STEP } from "../rules/priority.ts";
import { topicsOf } from "../rules/topics.ts";
import { isOwnInbox } from "./authority.ts";
import type { Context } from "./index.ts";
import { linesLocked, lockLines } from "./message-rows.ts";
import { insertedColumns } from "./message-send.ts";

/** Most dead letters brought back by a call. */
const MOST = 10_000;

const Redriven = z.object({ redriven: z.int() });

/**
 * Makes dead letters of an inbox live again, all or those named, in their order of arrival: as if they had been sent
 * now, but for their id, the time they were accepted, and the receipts they have.
 * @throws Problem inbox_not_found
 */
export function redriving({ now, hints, caller, transaction }: Context) {
  return { redrive };

  async function redrive(address: string, messageIds?: readonly string[]): Promise<number> {
    return transaction(
      async (_, { db }) => {
        const { redriven } = await db.one(
          "messages.redrive",
          Redriven,
          sql`
            with inbox as materialized (
              select i.ai_agent_address from cams.agent_inboxes i
              where ${and([sql`i.ai_agent_address = ${address}`, isOwnInbox(caller, address)])}
              for key share
            ), dead as materialized (
              select a.finished_at, a.message_id, a.recipient_address, a.ordering_key
              from inbox join cams.message_archive a on a.recipient_address = inbox.ai_agent_address
              where a.status = 'DEAD_LETTERED'
                and (${messageIds}::uuid[] is null or a.message_id = any (${messageIds}::uuid[]))
              order by a.seq
              limit ${MOST}
              for update of a
            ), ${lockLines(sql`dead`)}, back as (
              delete from cams.message_archive a using dead
              where ${linesLocked} and a.finished_at = dead.finished_at and a.message_id = dead.message_id
              returning a.*
            ), live as (
              insert into cams.messages (${insertedColumns}, first_leased_at, attempts)
              select
                message_id, recipient_address, sender_address, message_type, payload, metadata, priority,
                time_to_live_seconds, ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id,
                traceparent, accepted_at, ${now} + make_interval(secs => (priority - 1) * ${SECONDS_PER_STEP}::integer),
                ${now}, ${now} + make_interval(secs => time_to_live_seconds), first_leased_at, attempts
              from back
              order by seq
              returning message_id
            )
            select (select count(*) from live) as redriven from inbox`,
          () => inboxNotFound(address),
        );
        for (const topic of topicsOf(address)) if (redriven > 0) db.afterCommit(() => hints.publish(topic));
        return redriven;
      },
      { statementTimeoutSeconds: 55 },
    );
  }
}
