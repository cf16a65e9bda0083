import * as z from "zod";
import { sql } from "../db/sql.ts";
import { EventStats } from "../schemas/event.ts";
import type { Context } from "./index.ts";

const Found = EventStats.omit({ delivery: true, start: true }).extend({
  delivered: z.int(),
  deliveryMedian: z.number().optional(),
  deliveryP95: z.number().optional(),
  started: z.int(),
  startMedian: z.number().optional(),
  startP95: z.number().optional(),
});

/** Messages and tasks of which times are looked at, the newest: a median of more says nothing more. */
const SAMPLE = 10_000;

/** What happened, in figures. */
export function eventFigures({ db, now }: Context) {
  return {
    /** Since `from`, RFC 3339; without it the last 24 hours. */
    async stats(from: string | undefined): Promise<z.output<typeof EventStats>> {
      const since = sql`coalesce(${from}::timestamptz, ${now} - interval '24 hours')`;
      const row = await db.one(
        "events.stats",
        Found,
        sql`
          with by_type as materialized (
            select e.type, count(*) as events, count(*) filter (where e.unhandled) as unhandled,
              sum(e.messages) as messages, sum(e.tasks) as tasks
            from cams.events e
            where e.published_at >= ${since}
            group by e.type
          ), handed as materialized (
            select extract(epoch from coalesce(m.first_leased_at, m.finished_at) - m.accepted_at)::float8 as seconds
            from (
              (select m.message_id, m.first_leased_at, null::timestamptz as finished_at, m.accepted_at from cams.messages m
                where m.sender_address = 'cams' and m.metadata ? 'eventId' and m.accepted_at >= ${since}
                  and m.first_leased_at is not null
                order by m.message_id desc limit ${SAMPLE})
              union all
              (select m.message_id, m.first_leased_at, m.finished_at, m.accepted_at from cams.message_archive m
                where m.sender_address = 'cams' and m.metadata ? 'eventId' and m.accepted_at >= ${since}
                  and m.finished_at >= ${since} and m.status in ('ACKNOWLEDGED', 'DELIVERED')
                order by m.message_id desc limit ${SAMPLE})
            ) m
          ), begun as materialized (
            select extract(epoch from t.begun - t.submitted_at)::float8 as seconds
            from (
              (select coalesce((t.attempts -> 0 ->> 'at')::timestamptz, t.leased_at) as begun, t.submitted_at from cams.tasks t
                where t.submitted_by = 'cams' and t.cause_kind = 'EVENT' and t.submitted_at >= ${since} and t.attempt > 0
                order by t.task_id desc limit ${SAMPLE})
              union all
              (select (t.attempts -> 0 ->> 'at')::timestamptz, t.submitted_at from cams.task_archive t
                where t.submitted_by = 'cams' and t.cause_kind = 'EVENT' and t.submitted_at >= ${since}
                  and t.finished_at >= ${since} and t.attempts <> '[]'
                order by t.task_id desc limit ${SAMPLE})
            ) t
          )
          select ${since}::timestamptz(3) as "from", ${now}::timestamptz(3) as "to",
            coalesce(sum(b.events), 0)::integer as events, coalesce(sum(b.unhandled), 0)::integer as unhandled,
            coalesce(sum(b.messages), 0)::integer as messages, coalesce(sum(b.tasks), 0)::integer as tasks,
            (select coalesce(json_agg(json_build_object('type', type, 'events', events, 'unhandled', unhandled)), '[]') from (
              select * from by_type order by events desc, type limit 100) most) as "byType",
            (select count(*) from handed)::integer as delivered,
            (select percentile_cont(0.5) within group (order by seconds) from handed) as "deliveryMedian",
            (select percentile_cont(0.95) within group (order by seconds) from handed) as "deliveryP95",
            (select count(*) from begun)::integer as started,
            (select percentile_cont(0.5) within group (order by seconds) from begun) as "startMedian",
            (select percentile_cont(0.95) within group (order by seconds) from begun) as "startP95"
          from by_type b`,
      );
      const { delivered, deliveryMedian, deliveryP95, started, startMedian, startP95, ...counts } = row;
      return {
        ...counts,
        delivery: quantiles(delivered, deliveryMedian, deliveryP95),
        start: quantiles(started, startMedian, startP95),
      };
    },
  };
}

function quantiles(count: number, medianSeconds: number | undefined, p95Seconds: number | undefined) {
  return {
    count,
    ...(medianSeconds !== undefined && { medianSeconds }),
    ...(p95Seconds !== undefined && { p95Seconds }),
  };
}
