import * as z from "zod";
import { sql } from "../db/sql.ts";
import type { Candidate } from "../rules/event-matching.ts";
import { matchesPattern } from "../rules/event-patterns.ts";
import { RANKED } from "../rules/priority.ts";
import type { Context } from "./index.ts";

type Nullable<T> = { [Field in keyof T]: T[Field] | null };
const Row = z.object({
  eventId: z.string(),
  unhandledId: z.string(),
  at: z.string(),
  type: z.string(),
  candidates: z.custom<(Nullable<Omit<Candidate, "priority">> & { rank: number | null })[]>().optional(),
});

/** Subscriptions whose pattern fits a type, and what an event of it is to be called in the log. */
export interface Named {
  eventId: string;
  /** Of the event that nobody gets this one: behind it in lists, which go by ids. */
  unhandledId: string;
  /** The database's time. */
  at: string;
  candidates: Candidate[];
}

/**
 * For each type the subscriptions whose pattern fits it: those patterns can all be named, so that it costs what could
 * match, however many there are. Oldest first. What happens in CAMS itself (`own`) is not meant by a pattern that begins
 * with a wildcard, as the server's topics are not with MQTT.
 */
export async function candidatesFor(
  { db, now }: Context,
  types: readonly string[],
  { own = false }: { own?: boolean } = {},
): Promise<Named[]> {
  const rows = await db.many(
    "events.candidates",
    Row,
    sql`
      with wanted as materialized (
        select distinct unnest(cams.event_patterns(given.type)) as pattern from unnest(${types}::text[]) as given (type)
      )
      select cams.uuid7(${now}) as "eventId", cams.uuid7(${now} + interval '1 ms') as "unhandledId", cams.iso(${now}) as at, given.type,
        -- Once: many types of a batch may have the same subscriptions.
        case when given.place = 1 then (
          select coalesce(json_agg(json_build_object(
            'subscriptionId', s.subscription_id, 'eventType', s.event_type, 'filters', s.filters, 'rank', s.priority,
            'aiAgentAddress', s.ai_agent_address, 'definitionId', s.definition_id, 'fromVersion', s.from_version,
            'closed', case when s.definition_id is not null then case
              when d.kind <> 'Agent' then 'it is a team'
              when d.retired_at is not null then 'it is retired'
              when d.current_version is null then 'it has no current version'
              when not coalesce((v.config ->> 'enabled')::boolean, false) then 'it is not enabled by its current version'
            end end) order by s.subscription_id), '[]')
          from cams.subscriptions s
          left join cams.definitions d on d.definition_id = s.definition_id
          left join cams.definition_versions v on (v.definition_id, v.version) = (d.definition_id, d.current_version)
          where s.event_type = any (array(select pattern from wanted))
            and (not ${own}::boolean or left(s.event_type, 1) not in ('*', '#'))
        ) end as candidates
      from unnest(${types}::text[]) with ordinality as given (type, place)
      order by given.place`,
  );
  const candidates = (rows[0]?.candidates ?? []).map(({ rank, ...row }) => {
    const said = Object.entries(row).filter(([, value]) => value !== null);
    return { ...Object.fromEntries(said), ...(rank && { priority: RANKED[rank - 1] }) } as Candidate;
  });
  const patterns = [...new Set(candidates.map(({ eventType }) => eventType))];
  const fitting = new Map<string, Candidate[]>();
  for (const { type } of rows) {
    if (fitting.has(type)) continue;
    const fit = new Set(patterns.filter((pattern) => matchesPattern(pattern, type)));
    fitting.set(
      type,
      candidates.filter(({ eventType }) => fit.has(eventType)),
    );
  }
  return rows.map(({ type, candidates: _, ...named }) => ({ ...named, candidates: fitting.get(type) ?? [] }));
}
