import type { Hints } from "../db/hints.ts";
import { or, type Sql, sql } from "../db/sql.ts";
import { type Caller, isUnbound, teamOf } from "../rules/access.ts";
import { agentTasksTopic, poolTopic, topicsOf } from "../rules/topics.ts";
import { actsFor } from "./authority.ts";

/** What a live and an archived row (`t`) have in common, as the API shows it. */
const common = sql`
  t.task_id as "taskId", t.definition_id as "definitionId", t.pool is not null as pooled, t.type, t.name, t.payload,
  (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[t.priority] as priority,
  case when t.cause_kind is not null then jsonb_strip_nulls(jsonb_build_object('kind', t.cause_kind, 'id', t.cause_id))
  end as cause, t.depends_on as "dependsOn",
  case when t.approval is not null then jsonb_strip_nulls(jsonb_build_object(
    'decision', t.approval, 'at', cams.iso(t.approval_at), 'by', t.approval_by, 'reason', t.approval_reason)) end as approval,
  t.timeout_seconds as "timeoutSeconds", t.attempt, t.max_attempts as "maxAttempts", t.traceparent,
  t.submitted_by as "submittedBy", t.submitted_at as "submittedAt", t.progress`;

const usage = (tokens: Sql, cost: Sql, toolCalls: Sql): Sql => sql`
  case when num_nonnulls(${tokens}, ${cost}, ${toolCalls}) > 0 then jsonb_strip_nulls(jsonb_build_object(
    'tokens', ${tokens}, 'costUsd', ${cost}, 'toolCalls', ${toolCalls})) end as usage`;

/** The state a live row `t` has in effect, whether or not a sweep came by. */
export const liveState = (now: Sql): Sql => sql`
  case
    when t.approval = 'REQUIRED' then 'APPROVAL_REQUIRED'
    when t.ends_at <= ${now} then case when t.lease_until >= t.deadline_at then 'TIMED_OUT' else 'FAILED' end
    when t.lease_until > ${now} then 'WORKING'
    else 'SUBMITTED'
  end`;

/** What became of an attempt that time alone has ended. */
export const lapsedOutcome = sql`case when t.lease_until >= t.deadline_at then 'TIMED_OUT' else 'LEASE_EXPIRED' end`;

/** Why a task failed that time alone has ended. */
export const lapsedError = sql`
  (case when t.lease_until >= t.deadline_at
    then jsonb_build_object('code', 'timed_out', 'message', 'the attempt took longer than it may')
    else jsonb_build_object('code', 'attempts_exhausted', 'message', 'the lease of the last attempt ran out') end)`;

/** How an attempt that leaves its task live has ended. */
interface Ending {
  outcome: Sql;
  detail?: Sql;
  /** What the attempt has used in all, as jsonb; nothing when nothing more was said. */
  used?: Sql;
}

const NOTHING = sql`null`;
/** Null is "not said": what was said stays when nothing is added. */
const added = (total: Sql, attempt: Sql): Sql => sql`coalesce(${total} + ${attempt}, ${total}, ${attempt})`;

/** The receipt of the attempt that the live row `t` is or was in, and what that used added to what those before it did. */
export function attemptEnded(now: Sql, { outcome, detail = NOTHING, used = NOTHING }: Ending): Sql {
  return sql`
    attempts = cams.task_receipts(t, ${outcome}, ${detail}, ${now}),
    tokens = ${added(sql`t.tokens`, attemptTokens(used))}, cost_usd = ${added(sql`t.cost_usd`, attemptCost(used))},
    tool_calls = ${added(sql`t.tool_calls`, attemptToolCalls(used))},
    attempt_tokens = null, attempt_cost_usd = null, attempt_tool_calls = null`;
}

/** What takes the live row `t` out of the hand it is in: with a receipt, and free for whoever may claim it then. */
export function lettingGo(now: Sql, ending: Ending): Sql {
  return sql`
    ${attemptEnded(now, ending)},
    lease_token = null, lease_seconds = null, leased_at = null, lease_until = null, deadline_at = null,
    last_attempt = false, agent_id = case when t.pool is null then t.agent_id end`;
}

/** What the attempt of a live row `t` has used, with what is said now (jsonb, or null): it never becomes less. */
export const attemptTokens = (used: Sql): Sql => sql`greatest(t.attempt_tokens, (${used}::jsonb ->> 'tokens')::bigint)`;
export const attemptCost = (used: Sql): Sql =>
  sql`greatest(t.attempt_cost_usd, (${used}::jsonb ->> 'costUsd')::numeric)`;
export const attemptToolCalls = (used: Sql): Sql =>
  sql`greatest(t.attempt_tool_calls, (${used}::jsonb ->> 'toolCalls')::integer)`;

/** A live row as a task. */
export const liveTask = (now: Sql): Sql => sql`
  ${common}, ${liveState(now)} as state,
  case when t.pool is null or t.lease_until > ${now} or t.ends_at <= ${now} then t.agent_id end as "agentId",
  t.definition_version as "definitionVersion", case when t.waiting_for > 0 then t.waiting_for end as "waitingFor",
  cams.task_receipts(t, case when t.lease_until > ${now} then 'WORKING' else ${lapsedOutcome} end,
    case when t.ends_at <= ${now} then ${lapsedError} ->> 'message' end, ${now}) as attempts,
  ${usage(
    added(sql`t.tokens`, sql`t.attempt_tokens`),
    added(sql`t.cost_usd`, sql`t.attempt_cost_usd`),
    added(sql`t.tool_calls`, sql`t.attempt_tool_calls`),
  )},
  case when not t.waiting and coalesce(t.lease_until <= ${now} and t.ends_at is null, true) then t.available_at end
    as "availableAt",
  coalesce(t.leased_at, (t.attempts -> -1 ->> 'at')::timestamptz(3)) as "startedAt",
  case when t.lease_until > ${now} then t.lease_until end as "leaseExpiresAt",
  case when t.lease_until > ${now} then t.deadline_at end as "deadlineAt",
  case when t.ends_at <= ${now} then t.ends_at end as "finishedAt",
  case when t.ends_at <= ${now} then extract(epoch from t.ends_at - t.leased_at)::float8 end as "durationSeconds",
  case when t.ends_at <= ${now} then ${lapsedError} end as error,
  null::json as result, null::jsonb as feedback`;

/** An archived row as a task. */
export const archivedTask = sql`
  ${common}, t.state, t.agent_id as "agentId", t.definition_version as "definitionVersion",
  null::integer as "waitingFor", t.attempts, ${usage(sql`t.tokens`, sql`t.cost_usd`, sql`t.tool_calls`)},
  null::timestamptz as "availableAt", t.started_at as "startedAt", null::timestamptz as "leaseExpiresAt",
  null::timestamptz as "deadlineAt", t.finished_at as "finishedAt",
  case when t.started_at is not null
    then greatest(0, extract(epoch from t.finished_at - t.started_at))::float8 end as "durationSeconds", t.error, t.result,
  case when t.rating is not null then jsonb_strip_nulls(jsonb_build_object(
    'rating', t.rating, 'comment', t.rating_comment, 'at', cams.iso(t.rated_at), 'by', t.rated_by)) end as feedback`;

/**
 * Condition on a live or an archived task `t`: its caller submitted it, or acts for its agent (for what was its agent
 * when it ended), or is an operator of the team whose definition it is for.
 */
export function taskIsVisible(caller: Caller, archived: boolean): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  const team = teamOf(caller);
  return or([
    sql`t.submitted_by = ${caller.principal}`,
    archived
      ? actsFor(caller, sql`t.ai_agent_address`)
      : sql`t.agent_id in (select a.agent_id from cams.agents a where ${actsFor(caller, sql`a.ai_agent_address`)})`,
    team !== undefined && isOfTeam(team),
  ]);
}

/** Condition on a task `t`: its definition is this team's. */
export const isOfTeam = (team: string): Sql =>
  sql`t.definition_id in (select d.definition_id from cams.definitions d where d.owner_team = ${team})`;

/** Most waiting tasks that are counted: the count stays cheap over any queue. */
const COUNTED = sql`1000`;

/** How many tasks of a queue nobody holds, counted up to a limit; by each of the indexes of a queue. */
export const waitingIn = (now: Sql, queue: Sql, most: Sql = COUNTED): Sql => sql`(
  select least(count(*), ${most}) from (
    (select 1 from cams.tasks t where t.queue = ${queue} and t.attempt = 0 limit ${most})
    union all
    (select 1 from cams.tasks t
     where t.queue = ${queue} and t.attempt > 0 and coalesce(t.lease_until <= ${now}, true) limit ${most})
  ) counted)`;

/** Whom it concerns that a task may be claimed. */
export interface Queue {
  pool?: string | undefined;
  agentId?: string | undefined;
  /** Of that agent's inbox, where the task was announced. */
  address?: string | undefined;
}

/** Tells whoever waits for tasks of these queues, or for messages where they are announced. */
export function announceQueues(hints: Hints, queues: readonly Queue[]): void {
  const topics = queues.flatMap(({ pool, agentId, address }) => {
    if (pool !== undefined) return poolTopic(pool);
    const inbox = address === undefined ? [] : topicsOf(address);
    return agentId === undefined ? [] : [agentTasksTopic(agentId), ...inbox];
  });
  for (const topic of new Set(topics)) hints.publish(topic);
}
