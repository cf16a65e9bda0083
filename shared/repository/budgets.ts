import * as z from "zod";
import { sql } from "../db/sql.ts";
import type { Context } from "./index.ts";

/** The parts of a month's budget that are told when they are reached. */
const PERCENTS = [70, 90, 100];

export const BudgetNotice = z.object({
  definitionId: z.string(),
  percent: z.int(),
  costUsd: z.number(),
  limitUsd: z.number(),
});

/** What tasks of a definition may cost in a month (UTC), as its current version says. */
export function budgets({ db, now }: Context) {
  return {
    /**
     * Records which parts of this month's budgets have been used; answers what is new. For the sweep: claims look at the
     * sum itself, and what tasks report is summed without asking.
     */
    async notice(): Promise<z.output<typeof BudgetNotice>[]> {
      return db.many(
        "budgets.notice",
        BudgetNotice,
        sql`
          with spending as materialized (
            select distinct c.definition_id from cams.definition_costs c
            where c.month = cams.month_of(${now})
          ), month as materialized (
            select d.definition_id, cams.month_cost(d.definition_id, ${now}) as cost,
              (v.config ->> 'budgetLimitUsd')::numeric as most
            from spending s
            join cams.definitions d on d.definition_id = s.definition_id
            join cams.definition_versions v on (v.definition_id, v.version) = (d.definition_id, d.current_version)
          ), noticed as (
            insert into cams.budget_notices (definition_id, month, percent, at, limit_usd, cost_usd)
            select definition_id, cams.month_of(${now}), percent, ${now}, most, cost
            from month, unnest(${PERCENTS}::smallint[]) as p (percent)
            where cost >= most * percent / 100
            on conflict do nothing
            returning *
          )
          select definition_id as "definitionId", percent, cost_usd::float8 as "costUsd", limit_usd::float8 as "limitUsd"
          from noticed
          order by 1, 2`,
      );
    },
  };
}
