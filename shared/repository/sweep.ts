import * as z from "zod";
import type { Database } from "../db/database.ts";
import { type Sql, sql } from "../db/sql.ts";
import { BRAKE_MINIMUM, OFFLINE_AFTER_MISSED, SUSPECT_AFTER_MISSED } from "../rules/health.ts";
import type { Context } from "./index.ts";
import { returnMessages, returnTasks } from "./returns.ts";

/** When an inbox `i` has missed its nth report: the first is missed at `expected_by`. */
export const missed = (reports: number): Sql =>
  sql`(i.expected_by + make_interval(secs => i.heartbeat_interval_seconds * (${reports}::integer - 1)))`;
const suspectAt = missed(SUSPECT_AFTER_MISSED);
const offlineAt = missed(OFFLINE_AFTER_MISSED);

const Outlook = z.object({ goingOffline: z.int(), watched: z.int() });
const Marked = z.object({ seen: z.int(), suspected: z.int(), silent: z.array(z.string()) });
const Failed = z.object({ agentId: z.string() });

/** After an outage a million may be stale: counting them takes longer than a request is given. */
const PATIENTLY = { statementTimeoutSeconds: 55 };
const WHY = `missed ${OFFLINE_AFTER_MISSED} reports`;

/** What silent inboxes and their agents have in their hands goes back; agents that were to work have failed. */
async function giveUp(context: Context, addresses: readonly string[]): Promise<number> {
  const { db, now, caller } = context;
  await returnMessages(context, addresses, WHY);
  const agents = await db.many(
    "sweep.fail_agents",
    Failed,
    sql`
      with silent as materialized (
        select a.agent_id from cams.agents a where a.ai_agent_address = any (${addresses}::text[])
        order by a.agent_id
        for no key update
      ), failed as (
        update cams.agents a set
          state = case a.state when 'RUNNING' then 'FAILED' else 'STOPPED' end, state_reason = ${WHY},
          updated_at = ${now}, updated_by = ${caller.principal}, revision = a.revision + 1
        from silent
        where a.agent_id = silent.agent_id and a.state in ('RUNNING', 'DRAINING')
      )
      select agent_id as "agentId" from silent`,
  );
  return returnTasks(
    context,
    agents.map(({ agentId }) => agentId),
    WHY,
  );
}

/** What time alone changes about inboxes; every statement costs what is stale, not what is registered. */
export function sweep({ db, now, transaction }: Context) {
  return {
    /** How many inboxes would go offline now, and how many are watched (counted up to twice that, at least to 20). */
    async outlook() {
      const outlook = (db: Database) =>
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
        );
      return db.transaction(outlook, PATIENTLY);
    },

    /**
     * Marks up to `limit` stale inboxes SUSPECT or OFFLINE; what the latter and their agents have in their hands goes back,
     * and agents that were running have failed. An unhealthy one is
     * never made SUSPECT, which would make it routable again. Answers also how many rows it looked at.
     */
    async markStale(limit: number) {
      return transaction(async (_, bound) => {
        const { seen, suspected, silent } = await bound.db.one(
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
          )
          select count(*) as seen,
            count(*) filter (where suspect and not offline and was = 'HEALTHY') as suspected,
            coalesce(array_agg(ai_agent_address) filter (where offline), '{}') as silent
          from stale`,
        );
        const tasksReturned = silent.length > 0 ? await giveUp(bound, silent) : 0;
        return { seen, suspected, offline: silent.length, tasksReturned };
      }, PATIENTLY);
    },
  };
}
