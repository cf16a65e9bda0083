import type { Hints } from "../db/hints.ts";
import { type Sql, sql } from "../db/sql.ts";
import { agentTasksTopic, poolTopic } from "../rules/topics.ts";

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
  case when t.lease_until >= t.deadline_at
    then jsonb_build_object('code', 'timed_out', 'message', 'the attempt took longer than it may')
    else jsonb_build_object('code', 'attempts_exhausted', 'message', 'the lease of the last attempt ran out') end`;

/** How an attempt that leaves its task live has ended. */
interface Ending {
  outcome: Sql;
  detail?: Sql;
  /** What the attempt has used in all, as jsonb; nothing when nothing more was said. */
  used?: Sql;
}

const NOTHING = sql`null`;

/** What takes the live row `t` out of the hand it is in: with a receipt, and free for whoever may claim it then. */
export function lettingGo(now: Sql, { outcome, detail = NOTHING, used = NOTHING }: Ending): Sql {
  // Null is "not said": what was said stays when nothing is added.
  const added = (total: Sql, attempt: Sql): Sql => sql`coalesce(${total} + ${attempt}, ${total}, ${attempt})`;
  return sql`
    attempts = cams.task_receipts(t, ${outcome}, ${detail}, ${now}),
    tokens = ${added(sql`t.tokens`, attemptTokens(used))}, cost_usd = ${added(sql`t.cost_usd`, attemptCost(used))},
    tool_calls = ${added(sql`t.tool_calls`, attemptToolCalls(used))},
    attempt_tokens = null, attempt_cost_usd = null, attempt_tool_calls = null,
    lease_token = null, lease_seconds = null, leased_at = null, lease_until = null, deadline_at = null,
    last_attempt = false, agent_id = case when t.pool is null then t.agent_id end`;
}

/** What the attempt of a live row `t` has used, with what is said now (jsonb, or null): it never becomes less. */
export const attemptTokens = (used: Sql): Sql => sql`greatest(t.attempt_tokens, (${used}::jsonb ->> 'tokens')::bigint)`;
export const attemptCost = (used: Sql): Sql =>
  sql`greatest(t.attempt_cost_usd, (${used}::jsonb ->> 'costUsd')::numeric)`;
export const attemptToolCalls = (used: Sql): Sql =>
  sql`greatest(t.attempt_tool_calls, (${used}::jsonb ->> 'toolCalls')::integer)`;

/** Whom it concerns that a task may be claimed. */
export interface Queue {
  pool?: string | undefined;
  agentId?: string | undefined;
}

/** Tells whoever waits for tasks of these queues. */
export function announceQueues(hints: Hints, queues: readonly Queue[]): void {
  const topics = queues.flatMap(({ pool, agentId }) => {
    if (pool !== undefined) return poolTopic(pool);
    return agentId === undefined ? [] : agentTasksTopic(agentId);
  });
  for (const topic of new Set(topics)) hints.publish(topic);
}
