import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { agentNotFound } from "../errors.ts";
import { type Caller, decidesOver, isUnbound, teamOf } from "../rules/access.ts";
import { topicsOf } from "../rules/topics.ts";
import type { AgentSelector } from "../schemas/agent.ts";
import { wakeClaims } from "./agent-commands.ts";
import { hasInCommon } from "./agent-filter.ts";
import { agentsWithInbox } from "./agent-rows.ts";
import { notYours } from "./authority.ts";
import { tell } from "./definition-store.ts";
import type { Context } from "./index.ts";
import { attemptsWith } from "./message-rows.ts";
import { returnMessages, returnTasks } from "./returns.ts";

type Selector = z.output<typeof AgentSelector>;

const Chosen = z.object({ agentId: z.string(), address: z.string(), definitionId: z.string().optional() });
const Owned = z.object({ address: z.string(), ownerTeam: z.string().optional() });

/** All agents at once, with 100,000 leases to return: a quarantine gets what a scheduled function gets. */
const MANY = { statementTimeoutSeconds: 55 };

/** Condition on an inbox `i`: the caller decides over it. None when it decides over all. */
function isDecidedBy(caller: Caller): Sql | undefined {
  return isUnbound(caller) ? undefined : sql`i.owner_team = ${teamOf(caller)}`;
}

/**
 * Changes the inboxes of those agents that are not as they are to be, in the order of their addresses. Claims hold their
 * inbox's row until what they lease is committed: what is returned after this has all of it, and nothing new comes.
 */
async function changeInboxes({ db, now, caller }: Context, which: Sql, change: Sql) {
  return db.many(
    "quarantine.change",
    Chosen,
    sql`
      with chosen as materialized (
        select i.ai_agent_address as address, a.agent_id, a.definition_id
        from ${agentsWithInbox}
        where ${and([which, isDecidedBy(caller)])}
        order by i.ai_agent_address
        for no key update of i
      )
      update cams.agent_inboxes i set
        ${change}, last_updated_timestamp = ${now}, updated_by = ${caller.principal}, revision = i.revision + 1
      from chosen
      where i.ai_agent_address = chosen.address
      returning chosen.agent_id as "agentId", chosen.address, chosen.definition_id as "definitionId"`,
  );
}

/**
 * Ends leases that ran out while nobody else took the message: a delivery that answers even later would still be
 * recorded as a success.
 */
async function endLapsed({ db, now }: Context, addresses: readonly string[]): Promise<void> {
  await db.execute(
    "quarantine.end_lapsed",
    sql`
      with lapsed as materialized (
        select m.message_id from cams.messages m
        where m.recipient_address = any (${addresses}::text[]) and m.lease_token is not null
          and m.available_at <= ${now} and m.ends_at > ${now}
        order by m.seq
        for update
      )
      update cams.messages m set
        attempts = ${attemptsWith(now, { outcome: sql`'LEASE_EXPIRED'` })}, lease_token = null, leased_at = null
      where m.message_id = any (array(select message_id from lapsed))`,
  );
}

async function isolate(bound: Context, which: Sql, reason: string): Promise<number> {
  await tell(bound, "reason", reason);
  const by = bound.caller.principal;
  const why = `quarantined by ${by}: ${reason}`;
  const chosen = await changeInboxes(
    bound,
    and([which, sql`i.quarantined_at is null`]),
    sql`quarantined_at = ${bound.now}, quarantine_reason = ${reason}, quarantined_by = ${by}, status_reason = ${why}`,
  );
  const addresses = chosen.map(({ address }) => address);
  const agentIds = chosen.map(({ agentId }) => agentId);
  if (chosen.length > 0) {
    await returnMessages(bound, addresses, why);
    await endLapsed(bound, addresses);
    await returnTasks(bound, agentIds, why);
  }
  return chosen.length;
}

async function release(bound: Context, which: Sql, reason: string): Promise<number> {
  await tell(bound, "reason", reason);
  const { db, now, hints, caller } = bound;
  const why = `released by ${caller.principal}: ${reason}`;
  const chosen = await changeInboxes(
    bound,
    and([which, sql`i.quarantined_at is not null`]),
    sql`
      quarantined_at = null, quarantine_reason = null, quarantined_by = null,
      -- It may have other reasons to be inactive, which the quarantine has overwritten.
      status_reason = ${why}::text || case
        when i.admin_status = 'INACTIVE' then '; its admin status is INACTIVE'
        when i.health_status in ('UNHEALTHY', 'OFFLINE') then '; it is ' || i.health_status else '' end`,
  );
  if (chosen.length === 0) return 0;
  const addresses = chosen.map(({ address }) => address).toSorted();
  await db.execute(
    "quarantine.tell_released",
    sql`
      select cams.send_from_cams(a.ai_agent_address, 'agent.release',
        json_build_object('agentId', a.agent_id, 'state', a.state, 'reason', ${reason}::text), 3, ${now})
      from cams.agents a
      where a.ai_agent_address = any (${addresses}::text[])`,
  );
  for (const agent of chosen) {
    for (const topic of topicsOf(agent.address)) db.afterCommit(() => hints.publish(topic));
    wakeClaims(bound, agent);
  }
  return chosen.length;
}

/** What operators do to agents that must do nothing more until somebody has looked at them. */
export function quarantine(context: Context) {
  type Change = typeof isolate;

  async function one(agentId: string, reason: string, change: Change): Promise<void> {
    await context.transaction(async (_, bound) => {
      const { address, ownerTeam } = await bound.db.one(
        "quarantine.owner",
        Owned,
        sql`
          select i.ai_agent_address as address, i.owner_team as "ownerTeam"
          from ${agentsWithInbox}
          where a.agent_id = ${agentId}`,
        () => agentNotFound(agentId),
      );
      if (!decidesOver(bound.caller, ownerTeam)) throw notYours(bound.caller, address);
      await change(bound, sql`a.agent_id = ${agentId}`, reason);
    }, MANY);
  }

  const many = ({ all: _, ...selector }: Selector, reason: string, change: Change) =>
    context.transaction((_, bound) => change(bound, hasInCommon(selector), reason), MANY);

  return {
    /**
     * Lets an agent do nothing more, and takes back what it holds; again changes nothing.
     * @throws Problem agent_not_found; forbidden when another team owns it
     */
    isolate: (agentId: string, reason: string) => one(agentId, reason, isolate),

    /**
     * Ends the quarantine of an agent, and tells it; without one nothing happens.
     * @throws Problem agent_not_found; forbidden when another team owns it
     */
    release: (agentId: string, reason: string) => one(agentId, reason, release),

    /** The same for all that have this in common and that the caller decides over; answers how many changed. */
    isolateMany: (selector: Selector, reason: string) => many(selector, reason, isolate),
    releaseMany: (selector: Selector, reason: string) => many(selector, reason, release),
  };
}
