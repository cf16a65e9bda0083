import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { taskNotFound } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { Task, type TaskFilter } from "../schemas/task.ts";
import type { Context } from "./index.ts";
import { archivedTask, liveState, liveTask, taskIsVisible } from "./task-rows.ts";

const Cursor = z.tuple([z.guid()]);

/** What is read of tasks, live and finished ones in one snapshot: only what the caller may see. */
export function taskReads({ db, now, caller }: Context) {
  const [live, archived] = [taskIsVisible(caller, false), taskIsVisible(caller, true)];
  return {
    /** @throws Problem task_not_found */
    async get(taskId: string) {
      return db.one(
        "tasks.get",
        Task,
        sql`
          select ${liveTask(now)} from cams.tasks t where ${and([sql`t.task_id = ${taskId}`, live])}
          union all
          select ${archivedTask} from cams.task_archive t
          where ${and([sql`t.task_id = ${taskId} and t.finished_at >= cams.uuid7_time(${taskId}::uuid)`, archived])}`,
        () => taskNotFound(taskId),
      );
    },

    /** Newest first. */
    async list(filter: z.output<typeof TaskFilter>) {
      const cursor = readCursor(Cursor, filter.pageToken);
      const rowsOf = (state: Sql, ...more: (Sql | false | undefined)[]) =>
        and([
          filter.agentId !== undefined && sql`t.agent_id = ${filter.agentId}`,
          filter.definitionId !== undefined && sql`t.definition_id = ${filter.definitionId}`,
          filter.state && sql`${state} = ${filter.state}`,
          filter.type !== undefined && sql`t.type = ${filter.type}`,
          filter.cause && sql`t.cause_kind = ${filter.cause}`,
          filter.after !== undefined && sql`t.submitted_at >= ${filter.after}::timestamptz`,
          filter.before !== undefined && sql`t.submitted_at < ${filter.before}::timestamptz`,
          cursor && sql`t.task_id < ${cursor[0]}::uuid`,
          ...more,
        ]);
      const newest = sql`order by t.task_id desc limit ${filter.pageSize + 1}`;
      const since = filter.after !== undefined && sql`t.finished_at >= ${filter.after}::timestamptz`;
      const rows = await db.many(
        "tasks.list",
        Task,
        sql`
          (select ${liveTask(now)} from cams.tasks t where ${rowsOf(liveState(now), live)} ${newest})
          union all
          (select ${archivedTask} from cams.task_archive t where ${rowsOf(sql`t.state`, archived, since)} ${newest})
          order by "taskId" desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, (row) => [row.taskId]);
    },
  };
}
