import * as z from "zod";
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
  type: string;
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

/**
 * What attempts came to. Each answers the messages whose lease it still was; without `wait` also those are left out that
 * somebody else has locked just now, so that they hold up nobody's result but their own.
 */
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

  /**
   * CTE `tried`: the inboxes that were tried and still have the destination, locked if nobody else has them just now:
   * what is not learned of one this time is learned the next.
   */
  const tried = (given: readonly Attempted[], which: Sql): Sql => sql`
    told as materialized (
      select address, type, destination, max(retry_after) as retry_after, bool_or(gone) as gone, bool_or(probe) as probe
      from unnest(
        ${given.map((one) => one.recipientAddress)}::text[], ${given.map((one) => one.type)}::text[],
        ${given.map((one) => one.destination)}::text[], ${given.map(waitOf)}::integer[],
        ${given.map((one) => one.gone ?? false)}::boolean[], ${given.map((one) => one.probe)}::boolean[]
      ) as t (address, type, destination, retry_after, gone, probe)
      group by address, type, destination
    ), tried as materialized (
      select i.ai_agent_address, t.retry_after, t.gone, t.probe
      from told t
      join cams.agent_inboxes i on i.ai_agent_address = t.address and i.inbox_destination_type = t.type
        and i.inbox_name = t.destination
      where ${which}
      for no key update of i skip locked
    )`;

  /**
   * CTE `held`: the rows whose lease this still is; without `wait` only those that nobody else has locked. A result that
   * comes after the lease's end counts as long as nobody else has the message and it has not ended.
   */
  const held = (wait: boolean): Sql => sql`
    held as materialized (
      select m.message_id, m.last_attempt, m.recipient_address, m.ordering_key
      from results r join cams.messages m on m.message_id = r.message_id
      where m.lease_token = r.proof and m.ends_at > ${now}
      order by m.seq
      for update of m ${wait ? sql`` : sql`skip locked`}
    )`;

  return {
    /** Ends what was delivered. */
    async delivered(given: readonly Attempted[], wait: boolean) {
      return db.many(
        "deliveries.delivered",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given, sql`i.failures_in_row > 0`)}, recovered as (
            -- What an answer to another message asked for stays: only the probe's own pause ends with its success.
            update cams.agent_inboxes i set failures_in_row = 0,
              delivery_paused_until = case when not t.probe then i.delivery_paused_until end
            from tried t
            where i.ai_agent_address = t.ai_agent_address
          ), ${held(wait)}, ${lockLines(sql`held`)}, ending as (
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
    async failed(given: readonly Attempted[], wait: boolean) {
      // Those that were on their way together when the inbox was paused are one outage, not sixteen.
      const counts = sql`(i.failures_in_row < ${FAILURES_BEFORE_PAUSE}::integer or t.probe)`;
      const deactivated = sql`(t.gone and i.admin_status = 'ACTIVE')`;
      return db.many(
        "deliveries.failed",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given, sql`true`)}, paused as (
            update cams.agent_inboxes i set
              failures_in_row = i.failures_in_row + case when ${counts} then 1 else 0 end,
              delivery_paused_until = greatest(
                case when not t.probe then i.delivery_paused_until end,
                ${now} + make_interval(secs => t.retry_after),
                case when ${counts} and i.failures_in_row + 1 >= ${FAILURES_BEFORE_PAUSE}::integer
                  then ${retryAt(now, sql`(i.failures_in_row + 2 - ${FAILURES_BEFORE_PAUSE}::integer)`)} end),
              admin_status = case when ${deactivated} then 'INACTIVE' else i.admin_status end,
              status_reason = case when ${deactivated} then 'its destination answered 410 Gone' else i.status_reason end,
              last_updated_timestamp = case when ${deactivated} then ${now} else i.last_updated_timestamp end,
              updated_by = case when ${deactivated} then 'cams' else i.updated_by end,
              revision = i.revision + case when ${deactivated} then 1 else 0 end
            from tried t
            where i.ai_agent_address = t.ai_agent_address
          ), ${held(wait)}, ${failing(now, { ...receipt, join, retryAfterSeconds: sql`r.retry_after` })}
          select message_id as "messageId", dead from done`,
      );
    },

    /** Gives back what could not be finished, as if it had not been begun: it does not count as an attempt. */
    async interrupted(given: readonly Attempted[], wait: boolean) {
      return db.many(
        "deliveries.interrupted",
        Recorded,
        sql`
          with ${results(given)}, ${held(wait)}
          update cams.messages m set
            attempts = ${attemptsWith(now, { ...receipt, outcome: sql`'INTERRUPTED'` })}, ${givenBack(now)}
          from held join results r using (message_id)
          where m.message_id = held.message_id
          returning m.message_id as "messageId", false as dead`,
      );
    },
  };
}
