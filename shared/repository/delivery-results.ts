import { z } from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { FAILURES_BEFORE_PAUSE, FIRST_PAUSE_SECONDS } from "../rules/backoff.ts";
import { failing, givenBack, retryAt } from "./attempts.ts";
import type { Context } from "./index.ts";
import { attemptsWith, finish, linesLocked, lockLines } from "./message-rows.ts";

/** What came of the attempt that a lease stands for. */
export interface Attempted {
  messageId: string;
  token: string;
  recipientAddress: string;
  destination: string;
  detail?: string | undefined;
  statusCode?: number | undefined;
  milliseconds: number;
  retryAfterSeconds?: number | undefined;
  gone?: boolean | undefined;
  probe: boolean;
}

/** What a destination asks to wait; one that asks for nothing is not called again at once. */
const waitOf = ({ retryAfterSeconds }: Attempted) =>
  retryAfterSeconds === undefined ? null : Math.max(retryAfterSeconds, FIRST_PAUSE_SECONDS);

const Recorded = z.object({ messageId: z.string(), dead: z.boolean() });

/** What attempts came to; each answers those whose lease it still was. */
export function deliveryResults({ db, now }: Context) {
  /** CTE `results`: no column of it has the name of one of a message, but the id. */
  const results = (given: readonly Attempted[]): Sql => sql`
    results as materialized (
      select * from unnest(
        ${given.map((one) => one.messageId)}::uuid[], ${given.map((one) => one.token)}::uuid[],
        ${given.map((one) => one.detail ?? null)}::text[], ${given.map((one) => one.statusCode ?? null)}::integer[],
        ${given.map((one) => Math.round(one.milliseconds))}::integer[],
        ${given.map(waitOf)}::integer[]
      ) as r (message_id, proof, detail, status_code, took, retry_after)
    )`;
  const receipt = { detail: sql`r.detail`, statusCode: sql`r.status_code`, milliseconds: sql`r.took` };
  const join = sql`join results r using (message_id)`;

  /** CTE `tried`: the destinations that were tried, if they still are the inbox's. */
  const tried = (given: readonly Attempted[]): Sql => sql`
    tried as materialized (
      select address, destination, max(retry_after) as retry_after, bool_or(gone) as gone, bool_or(probe) as probe
      from unnest(
        ${given.map((one) => one.recipientAddress)}::text[], ${given.map((one) => one.destination)}::text[],
        ${given.map(waitOf)}::integer[],
        ${given.map((one) => one.gone ?? false)}::boolean[], ${given.map((one) => one.probe)}::boolean[]
      ) as t (address, destination, retry_after, gone, probe)
      group by address, destination
    )`;

  /**
   * CTE `held`: the rows whose lease this still is, after the rows of `inboxes` are locked. A result that comes after
   * the lease's end counts as long as nobody else has the message and it has not ended.
   */
  const held = (inboxes: Sql): Sql => sql`
    held as materialized (
      select m.message_id, m.last_attempt, m.recipient_address, m.ordering_key
      from results r join cams.messages m on m.message_id = r.message_id
      where m.lease_token = r.proof and m.ends_at > ${now} and (select count(*) from ${inboxes}) >= 0
      order by m.seq
      for update of m
    )`;

  return {
    /** Ends what was delivered; answers the ids of those whose lease it still was. */
    async delivered(given: readonly Attempted[]) {
      return db.many(
        "deliveries.delivered",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given)}, recovering as materialized (
            select i.ai_agent_address from tried t
            join cams.agent_inboxes i on i.ai_agent_address = t.address and i.inbox_name = t.destination
            where i.failures_in_row > 0
            order by i.ai_agent_address
            for no key update of i
          ), recovered as (
            update cams.agent_inboxes i set failures_in_row = 0, delivery_paused_until = null
            from recovering r
            where i.ai_agent_address = r.ai_agent_address
          ), ${held(sql`recovering`)}, ${lockLines(sql`held`)}, ending as (
            select message_id from held where ${linesLocked}
          ), ${finish(now, {
            ...receipt,
            join,
            status: sql`'DELIVERED'`,
            outcome: sql`'DELIVERED'`,
            deliveredAt: now,
          })}
          select message_id as "messageId", false as dead from archived`,
      );
    },

    /**
     * Gives back what failed, or ends it as a dead letter when it was the last attempt; an inbox that fails again and
     * again is paused, one whose destination is gone is deactivated.
     */
    async failed(given: readonly Attempted[]) {
      // Those that were on their way together when the inbox was paused are one outage, not sixteen.
      const counts = sql`(i.failures_in_row < ${FAILURES_BEFORE_PAUSE}::integer or b.probe)`;
      const deactivated = sql`(b.gone and i.admin_status = 'ACTIVE')`;
      return db.many(
        "deliveries.failed",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given)}, blamed as materialized (
            select i.ai_agent_address, t.retry_after, t.gone, t.probe from tried t
            join cams.agent_inboxes i on i.ai_agent_address = t.address and i.inbox_name = t.destination
            order by i.ai_agent_address
            for no key update of i
          ), paused as (
            update cams.agent_inboxes i set
              failures_in_row = i.failures_in_row + case when ${counts} then 1 else 0 end,
              delivery_paused_until = greatest(
                case when not b.probe then i.delivery_paused_until end,
                ${now} + make_interval(secs => b.retry_after),
                case when ${counts} and i.failures_in_row + 1 >= ${FAILURES_BEFORE_PAUSE}::integer
                  then ${retryAt(now, sql`(i.failures_in_row + 2 - ${FAILURES_BEFORE_PAUSE}::integer)`)} end),
              admin_status = case when ${deactivated} then 'INACTIVE' else i.admin_status end,
              status_reason = case when ${deactivated} then 'its destination answered 410 Gone' else i.status_reason end,
              last_updated_timestamp = case when ${deactivated} then ${now} else i.last_updated_timestamp end,
              updated_by = case when ${deactivated} then 'cams' else i.updated_by end,
              revision = i.revision + case when ${deactivated} then 1 else 0 end
            from blamed b
            where i.ai_agent_address = b.ai_agent_address
          ), ${held(sql`blamed`)}, ${failing(now, { ...receipt, join, retryAfterSeconds: sql`r.retry_after` })}
          select message_id as "messageId", dead from done`,
      );
    },

    /** Gives back what could not be finished, as if it had not been begun: it does not count as an attempt. */
    async interrupted(given: readonly Attempted[]) {
      return db.many(
        "deliveries.interrupted",
        Recorded,
        sql`
          with ${results(given)}, ${held(sql`results`)}
          update cams.messages m set
            attempts = ${attemptsWith(now, { ...receipt, outcome: sql`'INTERRUPTED'` })}, ${givenBack(now)}
          from held join results r using (message_id)
          where m.message_id = held.message_id
          returning m.message_id as "messageId", false as dead`,
      );
    },
  };
}
