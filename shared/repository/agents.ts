import * as z from "zod";
import { and, byValues, type Sql, sql } from "../db/sql.ts";
import { agentNotFound } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { Agent, AgentCount, type AgentCountFilter, type AgentFilter, AgentTransition } from "../schemas/agent.ts";
import { type PageQuery, Timestamp } from "../schemas/common.ts";
import { agentChanges } from "./agent-changes.ts";
import { agentCommands } from "./agent-commands.ts";
import { agentIs } from "./agent-filter.ts";
import { agentAt, agentFor, agentsWithInbox } from "./agent-rows.ts";
import { refusals } from "./authority.ts";
import type { Context } from "./index.ts";
import { waitingIn } from "./task-rows.ts";

const Cursor = z.tuple([Timestamp, z.string()]);
const HistoryCursor = z.tuple([z.int()]);
const Place = z.object({ address: z.string() });
const Transition = AgentTransition.extend({ id: z.int() });

/** Most types that are counted apart. */
const MOST_TYPES = 100;

/** Live, managed agents: anybody who may call finds them, their owners decide over them. */
export function agents(context: Context) {
  const { db, now, caller } = context;

  async function one(agentId: string, more: Sql) {
    const agent = await db.one(
      "agents.get",
      Agent,
      sql`
        select ${agentAt(now)}${more}
        from ${agentsWithInbox}
        where a.agent_id = ${agentId}`,
      () => agentNotFound(agentId),
    );
    return agentFor(caller, agent);
  }

  return {
    ...agentChanges(context),
    ...agentCommands(context),

    /**
     * With how many tasks it works on, and how many wait for it.
     * @throws Problem agent_not_found
     */
    get: (agentId: string) =>
      one(
        agentId,
        sql`, cams.working_tasks(a.agent_id, ${now}) as "workingTasks",
      ${waitingIn(now, sql`'agent/' || a.agent_id`)} as "waitingTasks"`,
      ),

    /**
     * As lists show it.
     * @throws Problem agent_not_found
     */
    shown: (agentId: string) => one(agentId, sql``),

    /** Newest first. */
    async list({ pageSize, pageToken, ...filter }: z.output<typeof AgentFilter>) {
      const after = readCursor(Cursor, pageToken);
      const rows = await db.many(
        "agents.list",
        Agent,
        byValues(sql`
          select ${agentAt(now)}
          from ${agentsWithInbox}
          where ${and([
            agentIs(now, filter),
            after && sql`(a.created_at, a.agent_id) < (${after[0]}::timestamptz, ${after[1]})`,
          ])}
          order by a.created_at desc, a.agent_id desc
          limit ${pageSize + 1}`),
      );
      const shown = rows.map((agent) => agentFor(caller, agent));
      return toPage(shown, pageSize, (agent) => [agent.createdAt, agent.id]);
    },

    /** How many there are, by state, by type (the most frequent ones) and by what was observed of their health. */
    async count(filter: z.output<typeof AgentCountFilter>) {
      return db.one(
        "agents.count",
        AgentCount,
        byValues(sql`
          with found as materialized (
            select a.state, a.type, i.health_status, count(*) as agents
            from ${agentsWithInbox}
            where ${agentIs(now, filter)}
            group by a.state, a.type, i.health_status
          )
          select (select coalesce(sum(agents), 0)::bigint from found) as count, (
            select coalesce(jsonb_object_agg(state, agents), '{}')
            from (select state, sum(agents) as agents from found group by state) s
          ) as "byState", (
            select coalesce(jsonb_object_agg(type, agents), '{}')
            from (
              select type, sum(agents) as agents from found group by type
              order by sum(agents) desc, type
              limit ${MOST_TYPES}
            ) t
          ) as "byType", (
            select coalesce(jsonb_object_agg(health_status, agents), '{}')
            from (select health_status, sum(agents) as agents from found group by health_status) h
          ) as "byHealth"`),
      );
    },

    /**
     * Changes of state, newest first, for those who act for the agent; also of one that was deleted.
     * @throws Problem agent_not_found when there is none and never was; forbidden
     */
    async history(agentId: string, { pageSize, pageToken }: z.output<typeof PageQuery>) {
      const before = readCursor(HistoryCursor, pageToken);
      const { address } = await db.one(
        "agents.address",
        Place,
        sql`
          select t.ai_agent_address as address
          from cams.agent_transitions t
          where t.agent_id = ${agentId}
          order by t.transition_id desc
          limit 1`,
        () => agentNotFound(agentId),
      );
      const refusal = (await refusals(context, [address])).get(address);
      // With its inbox it is gone for whoever acted for it as the inbox's owner.
      if (refusal) throw refusal.code === "inbox_not_found" ? agentNotFound(agentId) : refusal;
      const rows = await db.many(
        "agents.history",
        Transition,
        sql`
          select t.transition_id as id, t.at, t.from_state as "from", t.to_state as "to", t.reason, t.actor as by
          from cams.agent_transitions t
          where ${and([
            // Another agent may have had the same name at another address.
            sql`t.agent_id = ${agentId} and t.ai_agent_address = ${address}`,
            before && sql`t.transition_id < ${before[0]}`,
          ])}
          order by t.transition_id desc
          limit ${pageSize + 1}`,
      );
      const { items, ...next } = toPage(rows, pageSize, (row) => [row.id]);
      return { items: items.map(({ id: _, ...row }) => row), ...next };
    },
  };
}
