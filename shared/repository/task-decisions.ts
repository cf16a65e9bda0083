import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { forbidden, Problem } from "../errors.ts";
import { isUnbound, speaksFor, teamOf } from "../rules/access.ts";
import { isFinished } from "../rules/task-states.ts";
import type { TaskFeedback } from "../schemas/task.ts";
import { agents } from "./agents.ts";
import type { Context, Repository } from "./index.ts";
import { archiveEnded } from "./task-ends.ts";
import { announceQueues, isOfTeam, taskIsVisible } from "./task-rows.ts";

const Addressed = z.object({ address: z.string() });

async function addressOf({ db }: Context, agentId: string): Promise<string | undefined> {
  const statement = sql`select a.ai_agent_address as address from cams.agents a where a.agent_id = ${agentId}`;
  return (await db.maybe("tasks.address_of", Addressed, statement))?.address;
}

/** What is decided about a task by those who do not work on it. */
export function taskDecisions(context: Context) {
  const { now, caller, transaction } = context;
  const by = caller.principal;
  const visible = taskIsVisible(caller, false);
  const team = teamOf(caller);
  const decides = isUnbound(caller) ? undefined : team === undefined ? sql`false` : isOfTeam(team);

  /** Writes an operator's decision down; the task as it was. */
  async function decide(
    repo: Repository,
    { db }: Context,
    taskId: string,
    decision: string,
    reason: string | undefined,
  ) {
    const decided = await db.execute(
      "tasks.decide",
      sql`
        update cams.tasks t set approval = ${decision}, approval_at = ${now}, approval_by = ${by}, approval_reason = ${reason}
        where ${and([sql`t.task_id = ${taskId} and t.approval = 'REQUIRED'`, decides])}`,
    );
    if (decided > 0) return;
    const { state } = await repo.tasks.get(taskId);
    if (state === "APPROVAL_REQUIRED") throw forbidden("Only an operator of the definition's team decides about it.");
    throw new Problem("approval_decided", `The task is ${state}.`);
  }

  return {
    /**
     * Ends a task that has not ended, whoever has it in the hand.
     * @throws Problem task_not_found, task_finished
     */
    async cancel(taskId: string, reason: string | undefined) {
      const task = await transaction(async (repo, { db }) => {
        const cancelled = await db.execute(
          "tasks.cancel",
          sql`
            with gone as (
              delete from cams.tasks t
              where ${and([sql`t.task_id = ${taskId} and coalesce(t.ends_at > ${now}, true)`, visible])}
              returning t.*
            )
            select cams.archive_task(gone, 'CANCELLED', 'CANCELLED', ${now}, null, null,
              jsonb_build_object('code', 'cancelled', 'message', coalesce(${reason}::text, ${`cancelled by ${by}`}::text)))
            from gone`,
        );
        const task = await repo.tasks.get(taskId);
        if (cancelled === 0) throw new Problem("task_finished", `The task is ${task.state} already.`);
        return task;
      });
      // It may have been the last one that its agent was to end.
      if (task.agentId !== undefined && task.startedAt !== undefined) await agents(context).endDrain(task.agentId);
      return task;
    },

    /**
     * Lets a task go on for which the definition asks an operator.
     * @throws Problem task_not_found, approval_decided; forbidden
     */
    approve(taskId: string, reason: string | undefined) {
      return transaction(async (repo, bound) => {
        await decide(repo, bound, taskId, "APPROVED", reason);
        const task = await repo.tasks.get(taskId);
        const pool = task.pooled ? task.definitionId : undefined;
        const address = pool === undefined && task.agentId ? await addressOf(bound, task.agentId) : undefined;
        bound.db.afterCommit(() => announceQueues(bound.hints, [{ pool, agentId: task.agentId, address }]));
        return task;
      });
    },

    /**
     * Ends a task for which the definition asks an operator.
     * @throws Problem task_not_found, approval_decided; forbidden
     */
    reject(taskId: string, reason: string | undefined) {
      return transaction(async (repo, bound) => {
        await decide(repo, bound, taskId, "REJECTED", reason);
        await bound.db.execute(
          "tasks.reject",
          sql`
            with gone as (
              delete from cams.tasks t where t.task_id = ${taskId} returning t.*
            )
            select cams.archive_task(gone, 'REJECTED', null, ${now}, null, null,
              jsonb_build_object('code', 'rejected', 'message', coalesce(${reason}::text, ${`rejected by ${by}`}::text)))
            from gone`,
        );
        return repo.tasks.get(taskId);
      });
    },

    /**
     * Says how good what a task came to was; the last word counts.
     * @throws Problem task_not_found, task_not_finished; forbidden to who worked on it and did not submit it
     */
    rate(taskId: string, { rating, comment }: z.output<typeof TaskFeedback>) {
      return transaction(async (repo, bound) => {
        const { state, agentId, startedAt, submittedBy } = await repo.tasks.get(taskId);
        if (!isFinished(state)) throw new Problem("task_not_finished", `The task is ${state}.`);
        const address = agentId && startedAt ? await addressOf(bound, agentId) : undefined;
        const worked = address !== undefined && caller.role === "agent" && speaksFor(caller, address);
        if (worked && submittedBy !== by) throw forbidden("Who worked on a task does not rate it.");
        // It may have ended by time alone, and no sweep has come by to say so.
        await archiveEnded(bound, 1, { taskId });
        await bound.db.execute(
          "tasks.rate",
          sql`
            update cams.task_archive t
            set rating = ${rating}::smallint, rating_comment = ${comment}, rated_at = ${now}, rated_by = ${by}
            where t.task_id = ${taskId} and t.finished_at >= cams.uuid7_time(${taskId}::uuid)`,
        );
        return repo.tasks.get(taskId);
      });
    },
  };
}
