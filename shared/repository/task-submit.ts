import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { agentNotFound, definitionNotFound, Problem, taskNotFound, versionNotFound } from "../errors.ts";
import { ACCEPTING_STATES } from "../rules/agent-states.ts";
import { priorityRank, SECONDS_PER_STEP } from "../rules/priority.ts";
import { isFinished } from "../rules/task-states.ts";
import { TaskState, type TaskToSubmit } from "../schemas/task.ts";
import type { Context } from "./index.ts";
import { announceQueues, liveState, taskIsVisible, waitingIn } from "./task-rows.ts";

type Given = z.output<typeof TaskToSubmit>;

/** A queue as a submission finds it, and the task that was made of it, if it takes any. */
const Made = z.object({
  taskId: z.string().optional(),
  needsApproval: z.boolean(),
  address: z.string().optional(),
  state: z.string().optional(),
  reachable: z.boolean().optional(),
  waiting: z.int().optional(),
  kind: z.string().optional(),
  retired: z.boolean().optional(),
  version: z.string().optional(),
});
type Made = z.output<typeof Made>;

const Live = z.object({ taskId: z.string(), state: TaskState, dependants: z.int() });
const Ended = z.object({ taskId: z.string(), state: TaskState });

/** Tasks that may wait for one: they go on, or fail, in the statement that ends it, and 10,000 take it 2 s. */
const MOST_DEPENDANTS = 1000;
/** How long after a full queue another try is worth it. */
const RETRY_SECONDS = 5;

/** Whether a definition wants tasks of this type to be approved: as a version (an alias with its `config`) says it. */
export const needsApproval = (version: Sql, type: Sql): Sql =>
  sql`coalesce(${version}.config -> 'approvalRequiredFor' ? ${type}, false)`;

/** How tasks come in: for an agent, or into the pool of a definition. */
export function submitting(context: Context) {
  const { now, caller } = context;

  /** CTEs `task` and `dependency`: the new row, made from the one row of `queue`, if that is open. */
  function insertion(given: Given, traceparent: string | undefined, dependencies: readonly string[]): Sql {
    const rank = priorityRank(given.priority);
    return sql`
      task as (
        insert into cams.tasks (
          task_id, pool, agent_id, definition_id, type, name, payload, priority, cause_kind, cause_id, depends_on,
          waiting_for, approval, timeout_seconds, max_attempts, submitted_at, submitted_by, traceparent, rank_at,
          available_at)
        select cams.uuid7(${now}), pool, agent_id, definition_id, ${given.type}, ${given.name},
          ${JSON.stringify(given.payload)}::json, ${rank}::smallint, ${given.cause.kind}, ${given.cause.id},
          ${given.dependsOn}::uuid[], ${dependencies.length}::integer, case when needs_approval then 'REQUIRED' end,
          coalesce(${given.timeoutSeconds}::integer, timeout_seconds), ${given.maxAttempts}::integer, ${now},
          ${caller.principal}, ${traceparent}, ${now} + make_interval(secs => ${(rank - 1) * SECONDS_PER_STEP}), ${now}
        from queue
        where open
        returning task_id
      ), dependency as (
        insert into cams.task_dependencies (depends_on, task_id)
        select id, task.task_id from task, unnest(${dependencies}::uuid[]) as d (id)
      )`;
  }

  const current = sql`
    cams.definition_versions v on (v.definition_id, v.version) = (d.definition_id, d.current_version)`;

  function forAgent(agentId: string, given: Given, traceparent: string | undefined, dependencies: readonly string[]) {
    return sql`
      with agent as materialized (
        select a.agent_id, a.definition_id, a.state, a.task_timeout_seconds as timeout_seconds, a.task_queue_size,
          a.ai_agent_address, i.admin_status = 'ACTIVE' and i.quarantined_at is null as reachable,
          ${needsApproval(sql`v`, sql`${given.type}`)} as needs_approval
        from cams.agents a
        join cams.agent_inboxes i on i.ai_agent_address = a.ai_agent_address
        left join cams.definitions d on d.definition_id = a.definition_id
        left join ${current}
        where a.agent_id = ${agentId}
      ), queue as materialized (
        select agent.*, null::text as pool, waiting.n as waiting,
          reachable and state = any (${ACCEPTING_STATES}::text[]) and waiting.n < task_queue_size as open
        from agent cross join lateral (
          select ${waitingIn(now, sql`'agent/' || agent.agent_id`, sql`agent.task_queue_size`)} as n
        ) waiting
      ), ${insertion(given, traceparent, dependencies)}
      select task.task_id as "taskId", queue.needs_approval as "needsApproval", queue.ai_agent_address as address,
        queue.state, queue.reachable, queue.waiting
      from queue left join task on true`;
  }

  function forPool(id: string, given: Given, traceparent: string | undefined, dependencies: readonly string[]) {
    return sql`
      with queue as materialized (
        select d.definition_id, d.definition_id as pool, null::text as agent_id, d.kind, d.current_version,
          d.retired_at is not null as retired, ${needsApproval(sql`v`, sql`${given.type}`)} as needs_approval,
          (v.config ->> 'timeoutSeconds')::integer as timeout_seconds,
          coalesce((v.config ->> 'enabled')::boolean, false) as open
        from cams.definitions d left join ${current}
        where d.definition_id = ${id}
      ), ${insertion(given, traceparent, dependencies)}
      select task.task_id as "taskId", queue.needs_approval as "needsApproval", queue.kind, queue.retired,
        queue.current_version as version
      from queue left join task on true`;
  }

  /**
   * Of what a task depends on, what has not ended. It is held until the commit: its end waits for this submission, and
   * finds the new task then.
   * @throws Problem task_not_found, dependency_failed, queue_full
   */
  async function unfinished({ db }: Context, ids: readonly string[]): Promise<string[]> {
    const live = await db.many(
      "tasks.hold_dependencies",
      Live,
      sql`
        select t.task_id as "taskId", ${liveState(now)} as state, (
          select count(*) from (
            select from cams.task_dependencies d where d.depends_on = t.task_id limit ${MOST_DEPENDANTS}
          ) counted
        ) as dependants
        from cams.tasks t
        where ${and([sql`t.task_id = any (${ids}::uuid[])`, taskIsVisible(caller, false)])}
        order by t.seq
        for key share`,
    );
    const left = ids.filter((id) => !live.some(({ taskId }) => taskId === id));
    // A statement of its own: the first one's snapshot does not show the end of what it waited for.
    const ended = await db.many(
      "tasks.ended_dependencies",
      Ended,
      sql`
        select t.task_id as "taskId", t.state from cams.task_archive t
        where ${and([sql`t.task_id = any (${left}::uuid[])`, taskIsVisible(caller, true)])}`,
    );
    for (const id of ids) {
      const state = [...live, ...ended].find(({ taskId }) => taskId === id)?.state;
      if (state === undefined) throw taskNotFound(id);
      if (isFinished(state) && state !== "COMPLETED")
        throw new Problem("dependency_failed", `The task ${id} is ${state}.`);
    }
    const busy = live.find(({ dependants }) => dependants >= MOST_DEPENDANTS);
    if (busy)
      throw new Problem("queue_full", `${MOST_DEPENDANTS} tasks wait for ${busy.taskId}: as many as may.`, {
        retryAfterSeconds: RETRY_SECONDS,
      });
    return live.map(({ taskId }) => taskId);
  }

  async function make(
    { db, hints }: Context,
    operation: string,
    queue: { pool?: string; agentId?: string },
    statement: Sql,
    missing: () => Problem,
    refusal: (made: Made) => Problem,
  ) {
    const made = await db.one(operation, Made, statement, missing);
    if (made.taskId === undefined) throw refusal(made);
    if (!made.needsApproval) db.afterCommit(() => announceQueues(hints, [{ ...queue, address: made.address }]));
    return { taskId: made.taskId, state: made.needsApproval ? ("APPROVAL_REQUIRED" as const) : ("SUBMITTED" as const) };
  }

  /** In one statement, unless it depends on others: their ends must be looked at first. */
  function submitted<T>(
    given: Given,
    agentId: string | undefined,
    work: (bound: Context, dependencies: readonly string[]) => Promise<T>,
  ): Promise<T> {
    if (given.dependsOn.length === 0) return work(context, []);
    return context.transaction(async (_, bound) => {
      // Before what it depends on, as the agent's deletion locks them: the new row refers to it, and would deadlock.
      if (agentId !== undefined)
        await bound.db.execute(
          "tasks.hold_agent",
          sql`select from cams.agents a where a.agent_id = ${agentId} for key share`,
        );
      return work(bound, await unfinished(bound, given.dependsOn));
    });
  }

  return {
    /**
     * Submits a task for one agent.
     * @throws Problem agent_not_found, agent_not_running, inbox_inactive, queue_full, task_not_found, dependency_failed
     */
    submit(agentId: string, given: Given, traceparent: string | undefined) {
      return submitted(given, agentId, (bound, dependencies) =>
        make(
          bound,
          "tasks.submit",
          { agentId },
          forAgent(agentId, given, traceparent, dependencies),
          () => agentNotFound(agentId),
          ({ reachable, state, waiting }) => {
            if (!reachable)
              return new Problem(
                "inbox_inactive",
                `The inbox of ${agentId} is quarantined or not active: it takes no tasks.`,
              );
            if (!(ACCEPTING_STATES as string[]).includes(state ?? ""))
              return new Problem("agent_not_running", `The agent ${agentId} is ${state}: it takes no tasks.`);
            return new Problem("queue_full", `${waiting} tasks wait for ${agentId}: no more fit its taskQueueSize.`, {
              retryAfterSeconds: RETRY_SECONDS,
            });
          },
        ),
      );
    },

    /**
     * Submits a task into a definition's pool: any running agent of it may claim it.
     * @throws Problem definition_not_found, definition_kind_mismatch, definition_retired, version_not_found,
     * definition_disabled, task_not_found, dependency_failed, queue_full
     */
    submitPooled(definitionId: string, given: Given, traceparent: string | undefined) {
      return submitted(given, undefined, (bound, dependencies) =>
        make(
          bound,
          "tasks.submit_pooled",
          { pool: definitionId },
          forPool(definitionId, given, traceparent, dependencies),
          () => definitionNotFound(definitionId),
          ({ kind, retired, version }) => {
            if (kind !== "Agent")
              return new Problem("definition_kind_mismatch", `${definitionId} is a ${kind}: tasks are for agents.`);
            if (retired) return new Problem("definition_retired", `${definitionId} is retired.`);
            if (version === undefined) return versionNotFound(definitionId, undefined);
            return new Problem("definition_disabled", `${definitionId} ${version} has \`enabled: false\`.`);
          },
        ),
      );
    },
  };
}
