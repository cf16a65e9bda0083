import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { isUnbound } from "../rules/access.ts";
import { isFinished } from "../rules/task-states.ts";
import { Timestamp } from "../schemas/common.ts";
import type { TaskCompletion, TaskFailure, TaskReport } from "../schemas/task.ts";
import { agents } from "./agents.ts";
import { retryAt } from "./attempts.ts";
import { actsFor } from "./authority.ts";
import type { Context } from "./index.ts";
import { taskReads } from "./task-reads.ts";
import { announceQueues, attemptCost, attemptTokens, attemptToolCalls, lettingGo } from "./task-rows.ts";

const Reported = z.object({ taskId: z.string(), leaseExpiresAt: Timestamp, deadlineAt: Timestamp });
const Ended = z.object({
  taskId: z.string(),
  agentId: z.string(),
  draining: z.boolean(),
});
const Queue = z.object({ pool: z.string().optional(), agentId: z.string().optional(), address: z.string().optional() });
const Completed = z.object({ ...Ended.shape, freed: z.array(Queue) });
const Failed = z.object({ ...Ended.shape, ...Queue.shape, agentId: z.string(), availableAt: Timestamp.optional() });
const Done = z.object({ taskId: z.string() });

type Usage = z.output<typeof TaskReport>["usage"];
const json = (value: object | undefined) => (value === undefined ? undefined : JSON.stringify(value));

/** What somebody does with a task in its hand: proven by the lease token, on behalf of the agent that claimed it. */
export function working(context: Context) {
  const { db, now, hints, caller } = context;
  const used = (usage: Usage): Sql => sql`${json(usage)}::jsonb`;
  const own = isUnbound(caller) ? undefined : actsFor(caller, sql`a.ai_agent_address`);

  /** CTE `held`: the task, locked, while its lease lasts and the token is its own. */
  const held = (taskId: string, leaseToken: string): Sql => sql`
    locked as materialized (
      select t.*, a.state = 'DRAINING' as draining, a.ai_agent_address as address
      from cams.tasks t join cams.agents a on a.agent_id = t.agent_id
      where ${and([sql`t.task_id = ${taskId} and t.lease_token = ${leaseToken} and t.lease_until > ${now}`, own])}
      for update of t
    ), held as materialized (
      -- Again after the wait for the lock: a quarantine that came meanwhile passes over a lease that has lapsed.
      select * from locked where lease_until > clock_timestamp()
    )`;

  /** Why the token proves nothing, as far as the caller may know. */
  async function refusal(taskId: string): Promise<Problem> {
    const { state } = await taskReads(context).get(taskId);
    return isFinished(state)
      ? new Problem("task_finished", `The task is ${state} already.`)
      : new Problem("lease_expired", `The token holds no lease on the task, which is ${state}: stop working on it.`);
  }

  /** It may have been the last that a draining agent was to end; whoever is killed in between leaves it to the sweep. */
  async function follow({ draining, agentId }: z.output<typeof Ended>): Promise<void> {
    if (draining) await agents(context).endDrain(agentId);
  }

  return {
    /**
     * Renews the lease, and tells how far the attempt has come.
     * @throws Problem task_not_found, task_finished, lease_expired
     */
    async progress(taskId: string, { leaseToken, leaseSeconds, progress, usage }: z.output<typeof TaskReport>) {
      const lasts = sql`coalesce(${leaseSeconds}::integer, held.lease_seconds)`;
      const until = sql`least(${now} + make_interval(secs => ${lasts}), held.deadline_at)`;
      const reported = await db.maybe(
        "tasks.progress",
        Reported,
        sql`
          with ${held(taskId, leaseToken)}, t as (
            update cams.tasks t set
              lease_seconds = ${lasts}, lease_until = ${until},
              -- The back-off behind the lease stays as long as it was drawn.
              available_at = ${until} + (held.available_at - held.lease_until),
              progress = coalesce(${json(progress)}::jsonb, t.progress),
              attempt_tokens = ${attemptTokens(used(usage))}, attempt_cost_usd = ${attemptCost(used(usage))},
              attempt_tool_calls = ${attemptToolCalls(used(usage))}
            from held
            where t.task_id = held.task_id
            returning t.*
          )
          select t.task_id as "taskId", t.lease_until as "leaseExpiresAt", t.deadline_at as "deadlineAt"
          from t join held using (task_id), lateral (
            select cams.spend(t.definition_id, t.attempt_cost_usd - coalesce(held.attempt_cost_usd, 0), ${now})
          ) spent`,
      );
      if (!reported) throw await refusal(taskId);
      return reported;
    },

    /**
     * Ends a task as completed. A token that completed it before does so again: an answer that was lost may be asked for
     * once more.
     * @throws Problem task_not_found, task_finished, lease_expired
     */
    async complete(taskId: string, { leaseToken, result, usage }: z.output<typeof TaskCompletion>) {
      const ended = await db.maybe(
        "tasks.complete",
        Completed,
        sql`
          with ${held(taskId, leaseToken)}, gone as (
            delete from cams.tasks t using held where t.task_id = held.task_id returning t.*
          ), freed as (
            -- As it was before: what waits for this one alone may be claimed now.
            select jsonb_strip_nulls(jsonb_build_object(
              'pool', t.pool, 'agentId', t.agent_id, 'address', a.ai_agent_address)) as queue
            from cams.task_dependencies d join cams.tasks t using (task_id) left join cams.agents a using (agent_id)
            where d.depends_on = ${taskId} and t.waiting_for = 1 and t.approval is distinct from 'REQUIRED'
          )
          select cams.archive_task(gone, 'COMPLETED', 'COMPLETED', ${now}, ${used(usage)}, ${json(result)}::json, null)
              as "taskId",
            gone.agent_id as "agentId", held.draining,
            coalesce((select jsonb_agg(queue) from freed), '[]') as freed
          from gone join held using (task_id)`,
      );
      if (ended) {
        db.afterCommit(() => announceQueues(hints, ended.freed));
        await follow(ended);
      } else if (!(await isCompletedBy(taskId, leaseToken))) throw await refusal(taskId);
      return { taskId, state: "COMPLETED" as const };
    },

    /**
     * Ends an attempt as failed: the task waits for the next one, or ends when there is none.
     * @throws Problem task_not_found, task_finished, lease_expired
     */
    async fail(taskId: string, given: z.output<typeof TaskFailure>) {
      const { leaseToken, error, retryable, retryAfterSeconds, usage } = given;
      const dies = sql`(held.last_attempt or not ${retryable}::boolean)`;
      const failed = await db.maybe(
        "tasks.fail",
        Failed,
        sql`
          with ${held(taskId, leaseToken)}, gone as (
            delete from cams.tasks t using held where t.task_id = held.task_id and ${dies} returning t.*
          ), ended as (
            select cams.archive_task(gone, 'FAILED', 'FAILED', ${now}, ${used(usage)}, null, ${json(error)}::jsonb)
            from gone
          ), t as (
            update cams.tasks t set
              ${lettingGo(now, { outcome: sql`'FAILED'`, detail: sql`${error.message}::text`, used: used(usage) })},
              available_at = ${retryAt(now, sql`t.attempt`, sql`${retryAfterSeconds}::integer`)}
            from held
            where t.task_id = held.task_id and not ${dies}
            returning t.available_at
          )
          select held.task_id as "taskId", held.agent_id as "agentId", held.draining, held.pool, held.address, (select available_at from t) as "availableAt",
            case when exists (select from ended) then null else cams.spend(held.definition_id,
              (${used(usage)} ->> 'costUsd')::numeric - coalesce(held.attempt_cost_usd, 0), ${now}) end
          from held`,
      );
      if (!failed) throw await refusal(taskId);
      const { availableAt } = failed;
      if (availableAt !== undefined) db.afterCommit(() => announceQueues(hints, [failed]));
      await follow(failed);
      return availableAt === undefined
        ? { taskId, state: "FAILED" as const }
        : { taskId, state: "SUBMITTED" as const, availableAt };
    },

    /** Gives tasks back at once, as if they had not been claimed: the one who asked is gone. */
    async giveBack(tasks: readonly { taskId: string; leaseToken: string }[]): Promise<void> {
      const returned = await db.many(
        "tasks.give_back",
        Queue,
        sql`
          with given as materialized (
            select * from unnest(
              ${tasks.map(({ taskId }) => taskId)}::uuid[], ${tasks.map(({ leaseToken }) => leaseToken)}::uuid[]
            ) as g (task_id, lease_token)
          ), held as materialized (
            select t.task_id from given join cams.tasks t using (task_id, lease_token) order by t.seq for update of t
          )
          update cams.tasks t set
            ${lettingGo(now, { outcome: sql`'INTERRUPTED'`, detail: sql`'the caller was gone'` })},
            attempt = t.attempt - 1, available_at = ${now}
          where t.task_id = any (array(select task_id from held))
          returning t.pool, t.agent_id as "agentId"`,
      );
      db.afterCommit(() => announceQueues(hints, returned));
    },
  };

  async function isCompletedBy(taskId: string, leaseToken: string): Promise<boolean> {
    const done = await db.maybe(
      "tasks.completed_before",
      Done,
      sql`
        select t.task_id as "taskId" from cams.task_archive t left join cams.agents a on a.agent_id = t.agent_id
        where ${and([
          sql`t.task_id = ${taskId} and t.finished_at >= cams.uuid7_time(${taskId}::uuid)`,
          sql`t.state = 'COMPLETED' and t.lease_token = ${leaseToken}`,
          own,
        ])}`,
    );
    return done !== undefined;
  }
}
