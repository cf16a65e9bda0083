import * as z from "zod";
import { sql } from "../db/sql.ts";
import { type Match, matchesOf } from "../rules/event-matching.ts";
import { announce } from "./event-announce.ts";
import { routing } from "./event-fan-out.ts";
import { candidatesFor } from "./event-match.ts";
import { loggedEvent, StoredEvent, storedEvent } from "./event-rows.ts";
import type { Context } from "./index.ts";

const Done = z.object({ routed: z.int() });

/** What happened in CAMS itself, on its way to those who subscribed to it. */
export function routingOwn({ now, transaction }: Context) {
  return {
    /**
     * Brings up to `limit` events of the log to their subscribers that nobody has brought there yet; answers how many.
     * Who is killed in between leaves them to the next call, and two calls at once share them.
     */
    async route(limit: number): Promise<number> {
      return transaction(async (_, bound) => {
        const { db, hints } = bound;
        const rows = await db.many(
          "events.take_unrouted",
          StoredEvent,
          sql`
            select ${storedEvent} from cams.events e
            where not e.routed
            order by e.published_at
            limit ${limit}
            for no key update skip locked`,
        );
        if (rows.length === 0) return 0;
        const named = await candidatesFor(
          bound,
          rows.map(({ type }) => type),
          { own: true },
        );
        const routed = rows.map((row, n) => {
          const event = loggedEvent(row);
          return { event, matched: matchesOf(event, named[n]?.candidates ?? []).matched };
        });
        const counts = routed.map(({ event, matched }) => ({
          eventId: event.eventId,
          messages: matched.filter(({ aiAgentAddress }) => aiAgentAddress !== undefined).length,
          tasks: matched.filter(({ definitionId }) => definitionId !== undefined).length,
        }));
        const { targets, made } = routing(now, routed, sql`fresh`);
        const done = await db.one(
          "events.route",
          Done,
          sql`
            with ${targets}, fresh as materialized (
              select c.* from json_to_recordset(${JSON.stringify(counts)}::json) as c (
                "eventId" uuid, messages integer, tasks integer), sound
              where sound.all_there
            ), event as (
              update cams.events e set routed = true, messages = f.messages, tasks = f.tasks
              from fresh f
              where e.event_id = f."eventId"
              returning e.event_id
            ), ${made}
            select count(*) as routed from event`,
        );
        // A target that went away meanwhile: nothing is done, and they are looked at again.
        const matched: Match[] = done.routed > 0 ? routed.flatMap((one) => one.matched) : [];
        db.afterCommit(() => announce(hints, matched));
        return done.routed;
      });
    },
  };
}
