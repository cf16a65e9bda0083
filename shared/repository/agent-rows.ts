import type * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import type { Caller } from "../rules/access.ts";
import { SUSPECT_AFTER_MISSED } from "../rules/health.ts";
import type { Agent } from "../schemas/agent.ts";
import { seesInside } from "./authority.ts";
import { missed } from "./sweep.ts";

const suspectAt = missed(SUSPECT_AFTER_MISSED);

/** Condition on an inbox `i`: it last said that it is well, and has not missed two reports since. */
export const isHealthy = (now: Sql): Sql => sql`(i.health_status = 'HEALTHY' and ${suspectAt} > ${now})`;

/**
 * The opposite, so that two indexes can serve it: of the few whom the sweep has yet to look at those who fell silent, and
 * all others by what was observed.
 */
export const isUnhealthy = (now: Sql): Sql => sql`(
  i.health_status in ('UNKNOWN', 'UNHEALTHY', 'SUSPECT', 'OFFLINE')
  or (i.sweep_after <= ${now} and i.health_status = 'HEALTHY' and ${suspectAt} <= ${now}))`;

/** An agent `a` and its inbox `i` as the API shows it. */
export const agentAt = (now: Sql): Sql => sql`
  a.agent_id as id, a.name, a.type, a.description, a.state, a.state_reason as "stateReason",
  ${isHealthy(now)} as "isHealthy", i.health_status as "healthStatus", a.metadata,
  jsonb_strip_nulls(jsonb_build_object('maxConcurrentTasks', a.max_concurrent_tasks, 'taskQueueSize', a.task_queue_size,
    'heartbeatIntervalSeconds', i.heartbeat_interval_seconds, 'taskTimeoutSeconds', a.task_timeout_seconds,
    'resources', a.resources)) as config,
  a.tags, a.capabilities,
  case when a.definition_id is not null
    then jsonb_build_object('id', a.definition_id, 'version', a.definition_version) end as definition,
  a.ai_agent_address as "aiAgentAddress", i.owner_team as "ownerTeam",
  case when i.quarantined_at is not null then jsonb_strip_nulls(jsonb_build_object(
    'since', cams.iso(i.quarantined_at), 'by', i.quarantined_by, 'reason', i.quarantine_reason)) end as quarantine,
  a.created_at as "createdAt", a.created_by as "createdBy", a.updated_at as "updatedAt", a.updated_by as "updatedBy",
  i.last_health_check_timestamp as "lastHeartbeat", a.revision`;

/** Agents `a`, each with its inbox `i`. */
export const agentsWithInbox = sql`
  cams.agents a join cams.agent_inboxes i on i.ai_agent_address = a.ai_agent_address`;

/** What only those know who act for the agent is left out for everybody else. */
export function agentFor(caller: Caller, agent: z.output<typeof Agent>): z.output<typeof Agent> {
  if (seesInside(caller, agent)) return agent;
  const { stateReason: _, workingTasks: __, waitingTasks: ___, quarantine, ...rest } = agent;
  return { ...rest, ...(quarantine && { quarantine: { since: quarantine.since } }) };
}
