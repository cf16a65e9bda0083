import * as z from "zod";
import type { Database } from "../db/database.ts";
import { type Sql, sql } from "../db/sql.ts";
import { BRAKE_MINIMUM, OFFLINE_AFTER_MISSED, SUSPECT_AFTER_MISSED } from "../rules/health.ts";
import { givenBack } from "./attempts.ts";
import type { Context } from "./index.ts";

/** When an inbox `i` has missed its nth report: the first is missed at `expected_by`. */
export const missed = (reports: number): Sql =>
  sql`(i.expected_by + make_interval(secs => i.heartbeat_interval_seconds * (${reports}::integer - 1)))`;
const suspectAt = missed(SUSPECT_AFTER_MISSED);
const offlineAt = missed(OFFLINE_AFTER_MISSED);

const Outlook = z.object({ goingOffline: z.int(), watched: z.int() });
const Marked = z.object({ seen: z.int(), suspected: z.int(), offline: z.int(), leasesReturned: z.int() });

/** What time alone changes about inboxes; every statement costs what is stale, not what is registered. */
export function sweep({ db, now }: Context) {
  // After an outage a million may be stale: counting them takes longer than a request is given.
  const patiently = <T>(work: (db: Database) => Promise<T>) => db.transaction(work, { statementTimeoutSeconds: 55 });

  return {
    /** How many inboxes would go offline now, and how many are watched (counted up to twice that, at least to 20). */
    async outlook() {
      return patiently((db) =>
        db.one(
          "sweep.outlook",
          Outlook,
          sql`
          with going as materialized (
            select count(*) as offline from cams.agent_inboxes i where i.sweep_after <= ${now} and ${offlineAt} <= ${now}
          )
          select going.offline as "goingOffline", (
            select count(*) from (
              select from cams.agent_inboxes i where i.sweep_after is not null
              limit (select greatest(offline * 2, ${BRAKE_MINIMUM}::integer) from going)
            ) counted
          ) as watched
          from going`,
        ),
      );
    },

    /**
     * Marks up to `limit` stale inboxes SUSPECT or OFFLINE and returns the leases of the latter. An unhealthy one is
     * never made SUSPECT, which would make it routable again. Answers also how many rows it looked at.
     */
    async markStale(limit: number) {
      return patiently((db) =>
        db.one(
          "sweep.mark_stale",
          Marked,
          sql`
          with stale as materialized (
            select i.ai_agent_address, i.health_status as was, ${offlineAt} <= ${now} as offline,
              ${suspectAt} <= ${now} as suspect
            from cams.agent_inboxes i
            where i.sweep_after <= ${now}
            order by i.sweep_after
            limit ${limit}
            for no key update skip locked
          ), marked as (
            -- An array, not a join: before there are statistics a join reads through all inboxes.
            update cams.agent_inboxes i set
              health_status = case
                when ${offlineAt} <= ${now} then 'OFFLINE'
                when ${suspectAt} <= ${now} and i.health_status = 'HEALTHY' then 'SUSPECT'
                else i.health_status end,
              status_reason = case
                when ${offlineAt} <= ${now} then 'missed ' || ${OFFLINE_AFTER_MISSED}::integer || ' reports'
                when ${suspectAt} <= ${now} and i.health_status = 'HEALTHY'
                  then 'missed ' || ${SUSPECT_AFTER_MISSED}::integer || ' reports'
                else i.status_reason end,
              sweep_after = case
                when ${offlineAt} <= ${now} then null
                when ${suspectAt} <= ${now} then ${offlineAt}
                else ${suspectAt} end
            where i.ai_agent_address = any (array(select ai_agent_address from stale))
          ), leased as materialized (
            select m.message_id from cams.messages m
            where m.recipient_address = any (array(select ai_agent_address from stale where offline))
              and m.lease_token is not null and m.available_at > ${now}
            order by m.seq
            for update
          ), returned as (
            update cams.messages m set ${givenBack(now)}
            where m.message_id = any (array(select message_id from leased))
            returning m.message_id
          )
          select count(*) as seen,
            count(*) filter (where suspect and not offline and was = 'HEALTHY') as suspected,
            count(*) filter (where offline) as offline,
            (select count(*) from returned) as "leasesReturned"
          from stale`,
        ),
      );
    },
  };
}
