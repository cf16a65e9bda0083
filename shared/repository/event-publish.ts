import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { type EventToPublish, eventHash, type LoggedEvent } from "../rules/cloud-events.ts";
import { type Match, matchesOf } from "../rules/event-matching.ts";
import { ownSource } from "../rules/event-sources.ts";
import { priorityRank } from "../rules/priority.ts";
import { EVENTS } from "../rules/topics.ts";
import { announce } from "./event-announce.ts";
import { routing } from "./event-fan-out.ts";
import { candidatesFor, type Named } from "./event-match.ts";
import type { Context } from "./index.ts";

/** What nobody gets is told by an event of this type, which never causes another. */
const UNHANDLED = "event.unhandled";
/** How long a CloudEvent is known by its source and id. */
const KEYS_KEPT = sql`interval '14 days'`;
/** W3C Trace Context: it becomes a header of deliveries, which text of any other kind would have refused. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;
/** Subscriptions change seldom: who met five changes in a row met a fault. */
const MOST_TRIES = 5;

const Published = z.object({
  eventId: z.string(),
  messages: z.int(),
  tasks: z.int(),
  reused: z.boolean(),
  replayed: z.boolean(),
});

/** An event on its way into the log, and whom it reaches. */
interface Prepared {
  event: LoggedEvent;
  hash?: Buffer | undefined;
  /** The event that nobody gets, where this one tells of it. */
  parent?: string;
  matched: readonly Match[];
}

/** How events come into the log, and to their subscribers. */
export function publishing(context: Context) {
  const { db, now, hints, caller } = context;

  function prepare(
    event: EventToPublish,
    { eventId, unhandledId, at, candidates }: Named,
    traceparent: string | undefined,
  ) {
    const { traceparent: own, ...extensions } = event.extensions ?? {};
    const isTrace = typeof own === "string" && TRACEPARENT.test(own);
    const logged: LoggedEvent = {
      ...event,
      eventId,
      id: event.id ?? eventId,
      source: event.source ?? ownSource(caller.principal),
      time: event.time ?? at,
      priority: event.priority ?? "NORMAL",
      extensions,
      traceparent: isTrace ? own : traceparent,
    };
    const { matched } = matchesOf(logged, candidates);
    const hash = event.id === undefined ? undefined : eventHash(event);
    return { event: logged, matched, hash, unhandledId, at };
  }

  /** Events that tell of others which nobody gets. */
  async function tellings(bound: Context, of: readonly ReturnType<typeof prepare>[]): Promise<Prepared[]> {
    const unhandled = of.filter(({ event, matched }) => matched.length === 0 && event.type !== UNHANDLED);
    if (unhandled.length === 0) return [];
    const [named] = await candidatesFor(bound, [UNHANDLED], { own: true });
    return unhandled.map(({ event: { eventId, type, source, id }, unhandledId, at }) => {
      const told: LoggedEvent = {
        eventId: unhandledId,
        id: unhandledId,
        type: UNHANDLED,
        source: "/v1/events",
        subject: eventId,
        time: at,
        datacontenttype: "application/json",
        data: { eventId, type, source, id },
        priority: "LOW",
      };
      return { event: told, parent: eventId, matched: matchesOf(told, named?.candidates ?? []).matched };
    });
  }

  const rowOf = ({ event, hash, parent, matched }: Prepared, place: number) => ({
    ...event,
    place,
    parent,
    rank: priorityRank(event.priority),
    hash: hash?.toString("hex"),
    // As text: a JSON null is something else than nothing.
    data: event.data === undefined ? undefined : JSON.stringify(event.data),
    messages: matched.filter(({ aiAgentAddress }) => aiAgentAddress !== undefined).length,
    tasks: matched.filter(({ definitionId }) => definitionId !== undefined).length,
  });

  /** One statement: the keys, the events, and what is made of them; nothing of it when a target is there no more. */
  function statement(prepared: readonly Prepared[]): Sql {
    const rows = JSON.stringify(prepared.map(rowOf));
    const { targets, made } = routing(now, prepared, sql`fresh`);
    const lapsed = (column: Sql) => sql`case when k.kept_until <= ${now} then excluded.${column} else k.${column} end`;
    return sql`
      with given as materialized (
        select g.* from json_to_recordset(${rows}::json) as g (
          place integer, "eventId" uuid, parent uuid, source text, id text, type text, subject text, time timestamptz,
          datacontenttype text, dataschema text, extensions jsonb, data text, data_base64 text, rank smallint,
          traceparent text, hash text, messages integer, tasks integer)
      ), ${targets}, key as (
        insert into cams.event_keys as k (source, id, event_id, content_hash, messages, tasks, kept_until)
        select g.source, g.id, g."eventId", decode(g.hash, 'hex'), g.messages, g.tasks, ${now} + ${KEYS_KEPT}
        from given g, sound
        where g.hash is not null and sound.all_there
        order by g.source, g.id
        on conflict (source, id) do update set
          event_id = ${lapsed(sql`event_id`)}, content_hash = ${lapsed(sql`content_hash`)},
          messages = ${lapsed(sql`messages`)}, tasks = ${lapsed(sql`tasks`)}, kept_until = ${lapsed(sql`kept_until`)}
        returning *
      ), fresh as materialized (
        select g.* from given g, sound
        where sound.all_there and coalesce(g.parent, g."eventId") in (
          select own."eventId" from given own left join key on (key.source, key.id) = (own.source, own.id)
          where own.hash is null or key.event_id = own."eventId")
      ), event as (
        insert into cams.events (event_id, published_at, published_by, source, id, type, subject, time, datacontenttype,
          dataschema, extensions, data, data_base64, priority, traceparent, routed, messages, tasks)
        select "eventId", ${now}, case when parent is null then ${caller.principal} else 'cams' end, source, id, type, subject, time,
          datacontenttype, dataschema, extensions, data::json, data_base64, rank, traceparent, true, messages, tasks
        from fresh
        order by place
      ), ${made}
      select coalesce(key.event_id, g."eventId") as "eventId", coalesce(key.messages, g.messages) as messages,
        coalesce(key.tasks, g.tasks) as tasks, coalesce(key.content_hash <> decode(g.hash, 'hex'), false) as reused,
        coalesce(key.event_id <> g."eventId", false) as replayed
      from given g cross join sound left join key on (key.source, key.id) = (g.source, g.id)
      where g.parent is null and sound.all_there
      order by g.place`;
  }

  /** Nothing when a target went away meanwhile. */
  async function tryOnce(bound: Context, events: readonly EventToPublish[], traceparent: string | undefined) {
    const named = await candidatesFor(
      bound,
      events.map(({ type }) => type),
    );
    const own = events.map((event, n) => prepare(event, named[n] as Named, traceparent));
    const prepared: Prepared[] = [...own, ...(await tellings(bound, own))];
    const rows = await bound.db.many("events.publish", Published, statement(prepared));
    if (rows.length === 0) return undefined;
    for (const [n, row] of rows.entries()) if (row.reused) throw reused(events[n] as EventToPublish);
    return { rows, prepared };
  }

  /**
   * Publishes events, all or none: each in the log, with what it makes. `replayed` are those that were known by their
   * source and id; of them nothing is made again.
   * @throws Problem event_id_reused when the content is another; overloaded
   */
  async function publish(given: readonly EventToPublish[], traceparent: string | undefined) {
    const { events, places } = distinct(given);
    // One statement is all or nothing by itself, but for an id that turns out to be another event's.
    const mayBeReused = events.some(({ id }) => id !== undefined);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const done = await (mayBeReused && events.length > 1
        ? context.transaction((_, bound) => tryOnce(bound, events, traceparent))
        : tryOnce(context, events, traceparent));
      if (!done) continue;
      const { rows, prepared } = done;
      const fresh = new Set(rows.filter(({ replayed }) => !replayed).map(({ eventId }) => eventId));
      const matched = prepared.flatMap((one) => (fresh.has(one.parent ?? one.event.eventId) ? one.matched : []));
      if (fresh.size > 0) db.afterCommit(() => announce(hints, matched, EVENTS));
      const answers = rows.map(({ reused: _, ...row }) => ({ ...row, unhandled: row.messages + row.tasks === 0 }));
      return places.map((place) => answers[place] as (typeof answers)[number]);
    }
    throw new Problem("overloaded", "Its subscriptions change all the time.", { retryAfterSeconds: 1 });
  }

  return { publish };
}

/** Of events that are said more than once, the first; and for each given one which of them it is. */
function distinct(given: readonly EventToPublish[]): { events: EventToPublish[]; places: number[] } {
  const known = new Map<string, number>();
  const events: EventToPublish[] = [];
  const places = given.map((event) => {
    const key = event.id === undefined ? undefined : JSON.stringify([event.source, event.id]);
    const place = key === undefined ? undefined : known.get(key);
    if (place !== undefined) {
      if (!eventHash(event).equals(eventHash(events[place] as EventToPublish))) throw reused(event);
      return place;
    }
    if (key !== undefined) known.set(key, events.length);
    return events.push(event) - 1;
  });
  return { events, places };
}

function reused({ id, source }: EventToPublish): Problem {
  return new Problem("event_id_reused", `Another event was published with the id ${id} of ${source}.`);
}
