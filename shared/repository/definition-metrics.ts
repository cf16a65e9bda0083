import * as z from "zod";
import { sql } from "../db/sql.ts";
import { definitionNotFound } from "../errors.ts";
import { type DefinitionMetricsQuery, VersionMetrics } from "../schemas/definition-metrics.ts";
import type { Context } from "./index.ts";
import { waitingIn } from "./task-rows.ts";

const Now = z.object({
  waitingTasks: z.int(),
  workingTasks: z.int(),
  costThisMonthUsd: z.number(),
  budgetLimitUsd: z.number().optional(),
});

/** Figures of a definition's tasks: what finished ones came to, and how many there are now. */
export function definitionMetrics({ db, now }: Context) {
  return {
    /** @throws Problem definition_not_found */
    async metrics(id: string, { from = "-infinity", to = "infinity" }: z.output<typeof DefinitionMetricsQuery>) {
      const standing = await db.one(
        "definitions.work",
        Now,
        sql`
          select ${waitingIn(now, sql`'definition/' || d.definition_id`)} as "waitingTasks", (
              select count(*) from cams.tasks t
              where t.definition_id = d.definition_id and t.lease_token is not null and t.lease_until > ${now}
            ) as "workingTasks",
            cams.month_cost(d.definition_id, ${now})::float8 as "costThisMonthUsd",
            (v.config ->> 'budgetLimitUsd')::float8 as "budgetLimitUsd"
          from cams.definitions d
          left join cams.definition_versions v on (v.definition_id, v.version) = (d.definition_id, d.current_version)
          where d.definition_id = ${id}`,
        () => definitionNotFound(id),
      );
      const versions = await db.many(
        "definitions.metrics",
        VersionMetrics,
        sql`
          select m.definition_version as version, m.tasks,
            jsonb_build_object('COMPLETED', m.completed, 'FAILED', m.failed, 'TIMED_OUT', m.timed_out,
              'CANCELLED', m.cancelled, 'REJECTED', m.rejected) as "byState",
            m.success_rate as "successRate",
            case when m.mean_seconds is not null then
              jsonb_build_object('mean', m.mean_seconds, 'p95', m.p95_seconds) end as "durationSeconds",
            m.tokens::float8 as tokens, m.cost_usd::float8 as "costUsd", m.tool_calls as "toolCalls",
            case when m.ratings > 0 then jsonb_build_object('mean', m.mean_rating, 'count', m.ratings) end as rating,
            m.last_run_at as "lastRunAt"
          from cams.agent_metrics_between(${from}::timestamptz, ${to}::timestamptz) m
          where m.definition_id = ${id}
          order by m.last_run_at desc, m.definition_version`,
      );
      return { definitionId: id, versions, ...standing };
    },
  };
}
