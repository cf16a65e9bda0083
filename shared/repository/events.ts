import * as z from "zod";
import { and, byValues, type Sql, sql } from "../db/sql.ts";
import { eventNotFound } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import type { EventFilter } from "../schemas/event.ts";
import { followingLog } from "./event-log.ts";
import { publishing } from "./event-publish.ts";
import { routingOwn } from "./event-route.ts";
import { StoredEvent, shownEvent, storedEvent } from "./event-rows.ts";
import { eventFigures } from "./event-stats.ts";
import type { Context } from "./index.ts";

const Cursor = z.tuple([z.guid()]);

/** The log of events: what is published into it, and what all who call may read of it. */
export function events(context: Context) {
  const { db } = context;
  return {
    ...publishing(context),
    ...followingLog(context),
    ...routingOwn(context),
    ...eventFigures(context),

    /** @throws Problem event_not_found */
    async get(eventId: string) {
      const row = await db.one(
        "events.get",
        StoredEvent,
        sql`
          select ${storedEvent} from cams.events e
          where e.event_id = ${eventId} and ${around(sql`${eventId}::uuid`)}`,
        () => eventNotFound(eventId),
      );
      return shownEvent(row);
    },

    /** Newest first. */
    async list(filter: z.output<typeof EventFilter>) {
      const cursor = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "events.list",
        StoredEvent,
        byValues(sql`
          select ${storedEvent} from cams.events e
          where ${and([
            filter.type !== undefined && typeFits(filter.type),
            filter.source !== undefined && sql`e.source = ${filter.source}`,
            filter.subject !== undefined && sql`e.subject = ${filter.subject}`,
            filter.unhandled !== undefined && (filter.unhandled ? sql`e.unhandled` : sql`not e.unhandled`),
            filter.after !== undefined && sql`e.published_at >= ${filter.after}::timestamptz`,
            filter.before !== undefined && sql`e.published_at < ${filter.before}::timestamptz`,
            cursor && sql`e.event_id < ${cursor[0]}::uuid`,
          ])}
          order by e.event_id desc
          limit ${filter.pageSize + 1}`),
      );
      return toPage(rows.map(shownEvent), filter.pageSize, ({ eventId }) => [eventId]);
    },
  };
}

/** Bounds the partitions in which an event can be: its id was made just before its row, within one request. */
const around = (id: Sql): Sql => sql`
  e.published_at between cams.uuid7_time(${id}) - interval '2 minutes' and cams.uuid7_time(${id}) + interval '2 minutes'`;

/**
 * Condition on an event `e`: a pattern fits its type. What stands before the first wildcard, an index finds; the rest is an
 * expression, as to name all patterns of each type would take 5 s for 200,000 events.
 */
function typeFits(pattern: string): Sql | false {
  if (pattern === "#") return false;
  if (!/[*#]/.test(pattern)) return sql`e.type collate "C" = ${pattern}`;
  const isOpen = pattern.endsWith(".#");
  const expression = (isOpen ? pattern.slice(0, -2) : pattern)
    .replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&")
    .replaceAll("*", "[^.]+");
  return sql`e.type collate "C" ~ ${`^${expression}${isOpen ? "(\\.|$)" : "$"}`}`;
}
