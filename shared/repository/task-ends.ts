import * as z from "zod";
import type { Database } from "../db/database.ts";
import { and, type Sql, sql } from "../db/sql.ts";
import type { Context } from "./index.ts";
import { returnTasks } from "./returns.ts";
import { lapsedError, lapsedOutcome, lettingGo, liveState } from "./task-rows.ts";

/** What waits for a task ends with it, and 10,000 of those take 2 s: longer than a request is given when many end. */
const PATIENTLY = { statementTimeoutSeconds: 55 };
const Counts = z.object({ timedOut: z.int(), failed: z.int() });

/**
 * Moves tasks that time alone has ended to the archive, up to `limit`: out of attempts, or beyond what an attempt may
 * take. All of them, those of one agent, or one.
 */
export async function archiveEnded(
  { db, now }: Context,
  limit: number,
  { agentId, taskId }: { agentId?: string; taskId?: string } = {},
) {
  const archive = (bound: Database) =>
    bound.one(
      "tasks.archive_ended",
      Counts,
      sql`
      with ended as materialized (
        select t.task_id from cams.tasks t
        where ${and([
          sql`t.ends_at <= ${now}`,
          agentId !== undefined && sql`t.agent_id = ${agentId}`,
          taskId !== undefined && sql`t.task_id = ${taskId}`,
        ])}
        order by t.ends_at
        limit ${limit}
        for update skip locked
      ), gone as (
        delete from cams.tasks t where t.task_id = any (array(select task_id from ended)) returning t.*
      ), archived as (
        select ${liveState(now)} as state, cams.archive_task(
          t, ${liveState(now)}, ${lapsedOutcome}, t.ends_at, null, null, ${lapsedError}) as task_id
        from gone t
      )
      select count(task_id) filter (where state = 'TIMED_OUT') as "timedOut",
        count(task_id) filter (where state = 'FAILED') as failed
      from archived`,
    );
  return db.transaction(archive, PATIENTLY);
}

/** Ends live tasks for a reason that is not theirs; answers how many. */
async function cancelAll({ db, now }: Context, which: Sql, code: string, message: string): Promise<number> {
  return db.execute(
    "tasks.cancel_all",
    sql`
      with chosen as materialized (
        select t.task_id from cams.tasks t where ${which} order by t.seq for update
      ), gone as (
        delete from cams.tasks t where t.task_id = any (array(select task_id from chosen)) returning t.*
      )
      select cams.archive_task(gone, 'CANCELLED', 'CANCELLED', ${now}, null, null,
        jsonb_build_object('code', ${code}::text, 'message', ${message}::text))
      from gone`,
  );
}

/** Leaves no task with an agent that is to be deleted: its own end, what it has from a pool goes back there. */
export async function endTasksOf(context: Context, agentId: string): Promise<void> {
  const { db, now } = context;
  await returnTasks(context, [agentId], "the agent was deleted");
  await archiveEnded(context, 100_000, { agentId });
  await db.execute(
    "tasks.let_go",
    sql`
      update cams.tasks t set ${lettingGo(now, { outcome: sql`'LEASE_EXPIRED'` })}
      where t.agent_id = ${agentId} and t.lease_token is not null`,
  );
  await cancelAll(context, sql`t.agent_id = ${agentId}`, "agent_deleted", `the agent ${agentId} was deleted`);
}

/** Ends what waits in the pool of a definition that is to be retired. */
export async function endPool(context: Context, definitionId: string): Promise<void> {
  const message = `the definition ${definitionId} was retired`;
  await cancelAll(context, sql`t.pool = ${definitionId}`, "definition_retired", message);
}
