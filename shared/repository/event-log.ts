import * as z from "zod";
import { sql } from "../db/sql.ts";
import { cloudEventOf } from "../rules/cloud-events.ts";
import type { Position } from "../rules/event-positions.ts";
import { loggedEvent, StoredEvent, storedEvent } from "./event-rows.ts";
import type { Context } from "./index.ts";

/** An event of the log, and the place behind it. */
export interface LogEntry {
  position: Position;
  type: string;
  /** In structured form. */
  event: Record<string, unknown>;
}

const Place = z.object({ at: z.number(), transaction: z.string(), seq: z.number() });
/** Where reading goes on, and an event if there is one. */
const Row = z.object({
  ...Place.partial().shape,
  ...StoredEvent.partial().shape,
  readAt: z.number(),
  horizon: z.string(),
  pending: z.boolean(),
});

/** How much later than its transaction's beginning an event can come: longer than any request may take. */
const SLACK = sql`interval '10 minutes'`;
/** Below it no transaction is to commit any more. */
const HORIZON = sql`pg_snapshot_xmin(pg_current_snapshot())`;
const milliseconds = (time: ReturnType<typeof sql>) => sql`floor(extract(epoch from ${time}) * 1000)::float8`;

/** How the log is followed: in the order of (transaction, arrival), which no later commit changes. */
export function followingLog({ db, now }: Context) {
  return {
    /**
     * What comes behind a position, up to `limit`, and where reading goes on. Only what lies below the oldest running
     * transaction is read, so that one which commits late is not passed over; `pending` tells that more is there already.
     */
    async readAfter(position: Position, limit: number) {
      const rows = await db.many(
        "events.read_after",
        Row,
        sql`
          with horizon as materialized (
            select ${HORIZON} as xmin, ${milliseconds(now)} as at
          ), state as materialized (
            -- Once, and with an order, which has the index looked into: as a column beside the rows it was 4 ms for each.
            select h.*, coalesce((
              select true from cams.events e
              where e.transaction_id >= h.xmin and e.published_at >= ${now} - ${SLACK}
              order by e.transaction_id desc
              limit 1
            ), false) as pending
            from horizon h
          )
          select h.at as "readAt", h.xmin::text as horizon, h.pending, e.*
          from state h left join lateral (
            select ${storedEvent}, ${milliseconds(sql`e.published_at`)} as at, e.transaction_id::text as transaction, e.seq
            from cams.events e
            where (e.transaction_id, e.seq) > (${position.transaction}::xid8, ${position.seq}::bigint)
              and e.transaction_id < h.xmin
              and e.published_at >= to_timestamp(${position.at}::float8 / 1000) - ${SLACK}
            order by e.transaction_id, e.seq
            limit ${limit}
          ) e on true
          order by e.transaction::xid8, e.seq`,
      );
      const entries = rows.flatMap((row): LogEntry[] => {
        if (row.eventId === undefined) return [];
        const event = row as z.output<typeof Place> & z.output<typeof StoredEvent>;
        const position = { at: event.at, transaction: event.transaction, seq: event.seq };
        return [{ position, type: event.type, event: cloudEventOf(loggedEvent(event)) }];
      });
      const [first] = rows;
      if (!first) throw new Error("a reading of the log has no row");
      const last = entries.at(-1);
      const more = entries.length === limit;
      const horizon = { at: first.readAt, transaction: first.horizon, seq: 0 };
      return { events: entries, position: more && last ? last.position : horizon, more, pending: first.pending };
    },

    /** For how many seconds the oldest event has been here that followers do not get yet; 0 when there is none. */
    async heldBackSeconds(): Promise<number> {
      const oldest = await db.maybe(
        "events.held_back",
        z.object({ age: z.number() }),
        sql`
          select greatest(0, extract(epoch from ${now} - e.published_at))::float8 as age
          from cams.events e
          where e.transaction_id >= ${HORIZON} and e.published_at >= ${now} - ${SLACK}
          order by e.transaction_id
          limit 1`,
      );
      return oldest?.age ?? 0;
    },

    /** Where what is to come begins. */
    positionNow(): Promise<Position> {
      return db.one(
        "events.position_now",
        Place,
        sql`select ${milliseconds(now)} as at, ${HORIZON}::text as transaction, 0 as seq`,
      );
    },

    /** Where what was published at a time or later begins; a little of what was before may come too. */
    positionAt(time: Date): Promise<Position> {
      const at = time.toISOString();
      return db.one(
        "events.position_at",
        Place,
        sql`
          with first as materialized (
            select e.published_at from cams.events e
            where e.published_at >= ${at}::timestamptz
            order by e.published_at limit 1
          )
          select ${milliseconds(sql`${at}::timestamptz`)} as at, 0 as seq,
            least(min(e.transaction_id::text::numeric), ${HORIZON}::text::numeric)::text as transaction
          from first join cams.events e on e.published_at between first.published_at and first.published_at + ${SLACK}`,
      );
    },
  };
}
