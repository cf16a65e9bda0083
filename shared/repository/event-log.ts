import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
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
  pending: z.boolean(),
  found: z.int().optional(),
});
const Now = Place.extend({ horizon: z.string() });

/** Most bytes of data that are read at once, but for the last event's: each slow follower has so much in memory. */
const PAGE_BYTES = 256 * 1024;
/** How much later than its transaction's beginning an event can come: longer than any request may take. */
const SLACK = sql`interval '10 minutes'`;
/** Below it no transaction is to commit any more. */
const HORIZON = sql`pg_snapshot_xmin(pg_current_snapshot())`;
const milliseconds = (time: Sql) => sql`floor(extract(epoch from ${time}) * 1000)::float8`;
/** The last event that followers get. */
const LAST = sql`
  select e.transaction_id as transaction, e.seq from cams.events e
  where e.transaction_id < ${HORIZON}
  order by e.transaction_id desc, e.seq desc
  limit 1`;

/** How the log is followed: in the order of (transaction, arrival), which no later commit changes. */
export function followingLog({ db, now }: Context) {
  return {
    /**
     * What comes behind a position, up to `limit` events, and where reading goes on. Only what lies below the oldest running
     * transaction is read, so that one which commits late is not passed over; `pending` tells that more is there already.
     * A place is that of an event: numbers of transactions that left nothing durable are given out again after a crash.
     */
    async readAfter(position: Position, limit: number) {
      const since = sql`to_timestamp(${position.at}::float8 / 1000) - ${SLACK}`;
      const rows = await db.many(
        "events.read_after",
        Row,
        sql`
          with horizon as materialized (
            select ${HORIZON} as xmin, ${milliseconds(now)} as at
          ), state as materialized (
            -- Once, and with an order, which has the index looked into: as a column beside the rows it was 4 ms for each.
            select h.*, (
              select ${milliseconds(sql`e.published_at`)} from cams.events e
              where e.transaction_id >= h.xmin and e.published_at >= ${since}
              order by e.transaction_id
              limit 1
            ) as waiting
            from horizon h
          )
          -- What waits may do so for hours, behind a transaction of another database: the place says that it is so old.
          select least(h.at, h.waiting) as "readAt", h.waiting is not null as pending, e.*
          from state h left join lateral (
            select e.*, coalesce(sum(octet_length(coalesce(e."dataText", e.data_base64))) over (
                order by e.transaction::xid8, e.seq rows between unbounded preceding and 1 preceding), 0) as before,
              count(*) over ()::integer as found
            from (
              select ${storedEvent}, ${milliseconds(sql`e.published_at`)} as at, e.transaction_id::text as transaction, e.seq
              from cams.events e
              where (e.transaction_id, e.seq) > (${position.transaction}::xid8, ${position.seq}::bigint)
                and e.transaction_id < h.xmin
                and e.published_at >= ${since}
              order by e.transaction_id, e.seq
              limit ${limit}
            ) e
          ) e on e.before < ${PAGE_BYTES}::integer
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
      const more = first.found === limit || (first.found ?? 0) > entries.length;
      const last = entries.at(-1)?.position ?? position;
      return { events: entries, position: more ? last : { ...last, at: first.readAt }, more, pending: first.pending };
    },

    /** For how many seconds the oldest event has been here that followers do not get yet; 0 when there is none. */
    async heldBackSeconds(): Promise<number> {
      const oldest = await db.maybe(
        "events.held_back",
        z.object({ age: z.number() }),
        sql`
          select greatest(0, extract(epoch from ${now} - e.published_at))::float8 as age
          from cams.events e
          where e.transaction_id >= ${HORIZON}
          order by e.transaction_id
          limit 1`,
      );
      return oldest?.age ?? 0;
    },

    /** Where what is to come begins, and below which transaction all places are. */
    positionNow(): Promise<Position & { horizon: string }> {
      return db.one(
        "events.position_now",
        Now,
        sql`
          select ${HORIZON}::text as horizon, coalesce(last.transaction::text, '0') as transaction, coalesce(last.seq, 0) as seq,
            least(${milliseconds(now)}, (
              select ${milliseconds(sql`e.published_at`)} from cams.events e
              where e.transaction_id >= ${HORIZON}
              order by e.transaction_id
              limit 1)) as at
          from (values (1)) one left join (${LAST}) last on true`,
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
            least(min(e.transaction_id::text::numeric), coalesce((select last.transaction::text from (${LAST}) last), '0')::numeric)::text
              as transaction
          from first join cams.events e on e.published_at between first.published_at and first.published_at + ${SLACK}`,
      );
    },
  };
}
