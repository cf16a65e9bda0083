import type * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { prefixQuery } from "../rules/words.ts";
import type { AgentCountFilter, AgentSelector } from "../schemas/agent.ts";
import { isHealthy, isUnhealthy } from "./agent-rows.ts";

/** Condition on an agent `a` and its inbox `i`: all that is given; each part has an index of its own. */
export function agentIs(now: Sql, filter: z.output<typeof AgentCountFilter>): Sql {
  return and([
    hasInCommon(filter),
    filter.state && sql`a.state = ${filter.state}`,
    filter.healthy !== undefined && (filter.healthy ? isHealthy(now) : isUnhealthy(now)),
    filter.quarantined !== undefined &&
      (filter.quarantined ? sql`i.quarantined_at is not null` : sql`i.quarantined_at is null`),
    filter.capability !== undefined && sql`a.capabilities @> array[${filter.capability}::text]`,
    filter.q !== undefined && sql`a.words @@ to_tsquery('simple', ${prefixQuery(filter.q)})`,
  ]);
}

/** Condition on an agent `a` and its inbox `i`: it is one of those meant. */
export function hasInCommon(selector: Omit<z.output<typeof AgentSelector>, "all">): Sql {
  return and([
    selector.ownerTeam !== undefined && sql`i.owner_team = ${selector.ownerTeam}`,
    selector.type !== undefined && sql`a.type = ${selector.type}`,
    selector.tag !== undefined && sql`a.tags @> array[${selector.tag}::text]`,
    selector.definitionId !== undefined && sql`a.definition_id = ${selector.definitionId}`,
  ]);
}
