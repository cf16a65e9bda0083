import { type Sql, sql } from "../db/sql.ts";
import { cloudEventOf, type LoggedEvent } from "../rules/cloud-events.ts";
import type { Match } from "../rules/event-matching.ts";
import { priorityRank, SECONDS_PER_STEP } from "../rules/priority.ts";
import { insertMessages } from "./message-send.ts";
import { needsApproval } from "./task-submit.ts";

/** An event and whom it reaches. */
interface Routed {
  event: LoggedEvent;
  matched: readonly Match[];
}

/** What a message or a task made of an event has of its own: what a sender or submitter would have had by default. */
const TIME_TO_LIVE_SECONDS = 604_800;
const MAX_ATTEMPTS = 3;

/**
 * What is made of events, as CTEs. `targets`: `target`, one row for each inbox or definition that an event reaches, held
 * against deletion, and `sound`, whether all of them are there still. `made`: their messages and tasks, of those events
 * whose ids are in `fresh` (`eventId`).
 */
export function routing(now: Sql, routed: readonly Routed[], fresh: Sql): { targets: Sql; made: Sql } {
  const wanted = routed.flatMap(({ event, matched }) =>
    matched.map(({ subscriptionId, aiAgentAddress, definitionId, priority }) => ({
      ...{ eventId: event.eventId, subscriptionId, aiAgentAddress, definitionId },
      rank: priorityRank(priority),
    })),
  );
  const reaching = routed.filter(({ matched }) => matched.length > 0);
  const envelopes = reaching.map(({ event }, place) => ({
    ...{ place, eventId: event.eventId, type: event.type, traceparent: event.traceparent },
    payload: JSON.stringify(cloudEventOf(event)),
  }));
  const targets = sql`
    wanted as materialized (
      select w.*, e.place, e.type, e.traceparent, e.payload
      from json_to_recordset(${JSON.stringify(wanted)}::json) as w (
        "eventId" uuid, "subscriptionId" uuid, "aiAgentAddress" text, "definitionId" text, rank smallint)
      join json_to_recordset(${JSON.stringify(envelopes)}::json) as e (
        place integer, "eventId" uuid, type text, traceparent text, payload text) using ("eventId")
    ), inbox as materialized (
      select i.ai_agent_address from cams.agent_inboxes i
      where i.ai_agent_address = any (array(select "aiAgentAddress" from wanted))
      order by i.ai_agent_address
      for key share
    ), pool as materialized (
      select d.definition_id, (v.config ->> 'timeoutSeconds')::integer as timeout_seconds, v.config
      from cams.hold_pools(array(select "definitionId" from wanted)) held
      join cams.definitions d on d.definition_id = held.definition_id
      join cams.definition_versions v on (v.definition_id, v.version) = (held.definition_id, held.version)
      where d.kind = 'Agent' and (v.config ->> 'enabled')::boolean
    ), target as materialized (
      select w.*, pool.timeout_seconds, ${needsApproval(sql`pool`, sql`w.type`)} as needs_approval
      from wanted w
      join cams.subscriptions s on s.subscription_id = w."subscriptionId"
      left join inbox on inbox.ai_agent_address = w."aiAgentAddress"
      left join pool on pool.definition_id = w."definitionId"
      where num_nonnulls(inbox.ai_agent_address, pool.definition_id) = 1
    ), sound as materialized (
      select count(*) = ${wanted.length}::integer as all_there from target
    )`;
  const rankAt = sql`${now} + make_interval(secs => (t.rank - 1) * ${SECONDS_PER_STEP}::integer)`;
  const made = sql`
    message as (
      ${insertMessages}
      select cams.uuid7(${now}), t."aiAgentAddress", 'cams', t.type, t.payload::json,
        jsonb_build_object('eventId', t."eventId", 'subscriptionId', t."subscriptionId"), t.rank, ${TIME_TO_LIVE_SECONDS}::integer,
        null, t."eventId"::text, null, null, null, t.traceparent, ${now}, ${rankAt}, ${now},
        ${now} + make_interval(secs => ${TIME_TO_LIVE_SECONDS}::integer)
      from target t join ${fresh} f on f."eventId" = t."eventId"
      where t."aiAgentAddress" is not null
      order by t."aiAgentAddress", t.place
    ), task as (
      insert into cams.tasks (
        task_id, pool, definition_id, type, payload, priority, cause_kind, cause_id, approval, timeout_seconds,
        max_attempts, submitted_at, submitted_by, traceparent, rank_at, available_at)
      select cams.uuid7(${now}), t."definitionId", t."definitionId", t.type, t.payload::json, t.rank, 'EVENT', t."eventId",
        case when t.needs_approval then 'REQUIRED' end, t.timeout_seconds, ${MAX_ATTEMPTS}::integer, ${now}, 'cams',
        t.traceparent, ${rankAt}, ${now}
      from target t join ${fresh} f on f."eventId" = t."eventId"
      where t."definitionId" is not null
      order by t."definitionId", t.place
    )`;
  return { targets, made };
}
