import * as z from "zod";
import { sql } from "../db/sql.ts";
import { plan } from "../rules/schedules.ts";
import { Schedule } from "../schemas/schedule.ts";
import type { Context } from "./index.ts";
import { eventOf } from "./schedule-events.ts";

const Due = Schedule.pick({
  scheduleId: true,
  name: true,
  eventType: true,
  payload: true,
  priority: true,
  cron: true,
  timeZone: true,
  runAt: true,
  misfire: true,
}).extend({ nextRunAt: z.string(), now: z.string(), recorded: z.array(z.string()) });

/** Most events, and most bytes of their data, that one transaction publishes: 100 of 256 KiB took 280 MB of an instance's 256. */
const AT_ONCE = 100;
const BYTES_AT_ONCE = 1024 * 1024;

/** What a tick did with one schedule. */
export interface Fired {
  scheduleId: string;
  fired: number;
  skipped: number;
}

/** How schedules are fired. */
export function ticking({ now, transaction }: Context) {
  return {
    /**
     * Fires the schedule that has been due the longest, but none of `except`, or a part of what it is due: its events, the record of each time and when
     * it is due next are one transaction, and ticks that overlap pass over what another has in hand. Nothing when none is
     * due. `failed` is told of a schedule that could not be.
     */
    async fireNext(
      except: readonly string[],
      failed: (scheduleId: string, error: unknown) => void,
    ): Promise<Fired | undefined> {
      let taken: string | undefined;
      try {
        return await transaction(
          async (repo, { db }) => {
            taken = undefined;
            const due = await db.maybe(
              "schedules.take_due",
              Due,
              sql`
              select s.schedule_id as "scheduleId", s.name, s.event_type as "eventType", s.payload::json,
                (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[s.priority] as priority, s.cron, s.time_zone as "timeZone",
                s.run_at as "runAt", s.misfire, s.next_run_at as "nextRunAt", cams.iso(${now}) as now,
                array(select cams.iso(r.scheduled_for) from cams.schedule_runs r
                  where r.schedule_id = s.schedule_id and not r.manual and r.scheduled_for >= s.next_run_at) as recorded
              from cams.schedules s
              where s.next_run_at <= ${now} and s.schedule_id <> all (${except}::uuid[])
              order by s.next_run_at
              limit 1
              for update skip locked`,
            );
            if (!due) return undefined;
            taken = due.scheduleId;
            const { scheduleId, cron, timeZone, runAt, misfire } = due;
            const times =
              runAt === undefined ? { cron: cron as string, timeZone: timeZone as string } : { runAt: new Date(runAt) };
            const { runs, next } = plan(times, new Date(due.nextRunAt), new Date(due.now), { misfire });
            // A change that began before a time and was made after it, or a clock set back, leads to a time a second time.
            const recorded = new Set(due.recorded);
            const planned = runs
              .map((run) => ({
                ...run,
                scheduledFor: run.scheduledFor.toISOString(),
                eventId: undefined as string | undefined,
              }))
              .filter(({ scheduledFor }) => !recorded.has(scheduledFor));
            const bytes = Buffer.byteLength(JSON.stringify(due.payload) ?? "") + 1;
            const atOnce = Math.min(AT_ONCE, Math.ceil(BYTES_AT_ONCE / bytes));
            // What is too much for one transaction stays due: one that took longer than a tick would come to nothing each time.
            const rest = planned.filter(({ outcome }) => outcome === "FIRED")[atOnce];
            const records = rest ? planned.slice(0, planned.indexOf(rest)) : planned;
            const firing = records.filter(({ outcome }) => outcome === "FIRED");
            if (firing.length > 0) {
              const events = firing.map(({ scheduledFor }) => eventOf(due, scheduledFor));
              const published = await repo.events.publish(events, undefined);
              for (const [n, record] of firing.entries()) record.eventId = published[n]?.eventId;
            }
            await db.execute(
              "schedules.record",
              sql`
              insert into cams.schedule_runs (run_id, schedule_id, scheduled_for, outcome, late, manual, at, event_id, actor)
              select cams.uuid7(${now}), ${scheduleId}, r."scheduledFor", r.outcome, r.late, false, ${now}, r."eventId", 'cams'
              from json_to_recordset(${JSON.stringify(records)}::json) as r (
                "scheduledFor" timestamptz, outcome text, late boolean, "eventId" uuid)`,
            );
            await db.execute(
              "schedules.advance",
              sql`
              update cams.schedules s
              set next_run_at = ${rest?.scheduledFor ?? next?.toISOString()}::timestamptz,
                last_run_at = case when ${firing.length > 0}::boolean then ${now} else s.last_run_at end
              where s.schedule_id = ${scheduleId}`,
            );
            return { scheduleId, fired: firing.length, skipped: records.length - firing.length };
          },
          { statementTimeoutSeconds: 55 },
        );
      } catch (error) {
        if (taken === undefined) throw error;
        failed(taken, error);
        return { scheduleId: taken, fired: 0, skipped: 0 };
      }
    },
  };
}
