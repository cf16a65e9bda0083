import { randomUUID } from "node:crypto";
import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { forbidden, Problem, scheduleNotFound } from "../errors.ts";
import { decidesOver, isUnbound } from "../rules/access.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { priorityRank } from "../rules/priority.ts";
import { ensurePublishable, scheduleOf, scheduleRefused } from "../rules/schedule-faults.ts";
import { nextTimes } from "../rules/schedules.ts";
import { type PageQuery, Timestamp } from "../schemas/common.ts";
import {
  Schedule,
  type ScheduleFilter,
  ScheduleRunPage,
  type ScheduleToCreate,
  type ScheduleUpdate,
} from "../schemas/schedule.ts";
import type { Context } from "./index.ts";
import { eventOf } from "./schedule-events.ts";
import { ticking } from "./schedule-tick.ts";

type Given = z.output<typeof ScheduleToCreate>;
type Shown = z.output<typeof Schedule>;
const Cursor = z.tuple([z.guid()]);
const RunCursor = z.tuple([Timestamp, z.guid()]);
const Run = ScheduleRunPage.shape.items.element;
const Clock = z.object({ now: z.string() });

/** A schedule `s`, as the API shows it. */
const shown = sql`
  s.schedule_id as "scheduleId", s.name, s.event_type as "eventType", s.payload::json,
  (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[s.priority] as priority, s.enabled, s.misfire, s.cron, s.time_zone as "timeZone",
  s.run_at as "runAt", s.next_run_at as "nextRunAt", s.last_run_at as "lastRunAt", s.owner_team as "ownerTeam",
  s.created_at as "createdAt", s.created_by as "createdBy", s.updated_at as "updatedAt", s.updated_by as "updatedBy", s.revision`;

/** What publishes events by the clock: an operator sees and changes what its team owns. */
export function schedules(context: Context) {
  const { db, now, caller, transaction } = context;
  const own: Sql | undefined = isUnbound(caller) ? undefined : sql`s.owner_team = ${caller.team}`;

  async function clock({ db }: Context): Promise<Date> {
    return new Date((await db.one("schedules.now", Clock, sql`select cams.iso(${now}) as now`)).now);
  }

  /** When it is due, and due first: what is not enabled never is. */
  function due(given: Pick<Given, "cron" | "timeZone" | "runAt">, enabled: boolean, at: Date) {
    const schedule = scheduleOf(given, at);
    const [next] = nextTimes(schedule, at, 1);
    if (!next) throw scheduleRefused([{ pointer: "/cron", message: "must fire some day in this time zone" }]);
    return {
      cron: "cron" in schedule ? schedule.cron : undefined,
      timeZone: "cron" in schedule ? schedule.timeZone : undefined,
      runAt: "runAt" in schedule ? schedule.runAt.toISOString() : undefined,
      nextRunAt: enabled ? next.toISOString() : undefined,
    };
  }

  async function find({ db }: Context, id: string, locked = sql``): Promise<Shown> {
    const found = await db.one(
      "schedules.get",
      Schedule,
      sql`select ${shown} from cams.schedules s where s.schedule_id = ${id} ${locked}`,
      () => scheduleNotFound(id),
    );
    if (!decidesOver(caller, found.ownerTeam)) throw forbidden(`The schedule ${id} is not of your team.`);
    return found;
  }

  /** @throws Problem schedule_not_found, revision_mismatch; forbidden */
  async function change<T>(
    id: string,
    revisions: readonly number[] | undefined,
    work: (bound: Context, found: Shown) => Promise<T>,
  ): Promise<T> {
    return transaction(async (_, bound) => {
      const found = await find(bound, id, sql`for update of s`);
      if (revisions && !revisions.includes(found.revision))
        throw new Problem("revision_mismatch", `The schedule is at revision ${found.revision}.`);
      return work(bound, found);
    });
  }

  return {
    ...ticking(context),

    /** @throws Problem invalid_request naming what is wrong with its times; forbidden to an operator without a team */
    async create(given: Given): Promise<Shown> {
      ensurePublishable(given.eventType);
      if (!decidesOver(caller, caller.team)) throw forbidden(`${caller.principal} has no team to own a schedule.`);
      // In a transaction, which is told who calls: the audit names it.
      return transaction(async (_, bound) => {
        const { cron, timeZone, runAt, nextRunAt } = due(given, given.enabled, await clock(bound));
        return bound.db.one(
          "schedules.create",
          Schedule,
          sql`
          with s as (
            insert into cams.schedules (schedule_id, name, event_type, payload, priority, cron, time_zone, run_at, enabled,
              misfire, next_run_at, owner_team, created_at, created_by, updated_at, updated_by)
            select cams.uuid7(${now}), ${given.name}, ${given.eventType}, ${asJson(given.payload)},
              ${priorityRank(given.priority)}::smallint, ${cron}, ${timeZone}, ${runAt}::timestamptz, ${given.enabled}::boolean,
              ${given.misfire}, ${nextRunAt}::timestamptz, ${caller.team}, ${now}, ${caller.principal}, ${now}, ${caller.principal}
            returning *
          )
          select ${shown} from s`,
        );
      });
    },

    /**
     * With the next times, as many as asked for.
     * @throws Problem schedule_not_found; forbidden
     */
    async get(id: string, preview: number): Promise<Shown> {
      const found = await find(context, id);
      if (preview === 0) return found;
      const at = await clock(context);
      const times =
        "cron" in found
          ? nextTimes({ cron: found.cron as string, timeZone: found.timeZone as string }, at, preview)
          : [];
      const once = found.runAt !== undefined && new Date(found.runAt) > at ? [new Date(found.runAt)] : [];
      return { ...found, preview: [...times, ...once].map((time) => time.toISOString()) };
    },

    /** Newest first. */
    async list(filter: z.output<typeof ScheduleFilter>) {
      const cursor = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "schedules.list",
        Schedule,
        sql`
          select ${shown} from cams.schedules s
          where ${and([
            own,
            filter.eventType !== undefined && sql`s.event_type = ${filter.eventType}`,
            filter.enabled !== undefined && sql`s.enabled = ${filter.enabled}::boolean`,
            cursor && sql`s.schedule_id < ${cursor[0]}::uuid`,
          ])}
          order by s.schedule_id desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, ({ scheduleId }) => [scheduleId]);
    },

    /**
     * Changes what is given. Where that is when it runs, or that it runs again, it is due from now on: no time before
     * was missed.
     * @throws Problem schedule_not_found, revision_mismatch, invalid_request; forbidden
     */
    async update(
      id: string,
      given: z.output<typeof ScheduleUpdate>,
      revisions: readonly number[] | undefined,
    ): Promise<Shown> {
      ensurePublishable(given.eventType);
      return change(id, revisions, async (bound, found) => {
        const enabled = given.enabled ?? found.enabled;
        // Who writes back what it has read moves nothing: a time that is due, and that no tick has seen yet, would be lost.
        const moved = (["cron", "timeZone", "runAt"] as const).some((one) => (given[one] ?? found[one]) !== found[one]);
        const before = given.runAt !== undefined ? {} : { cron: found.cron, timeZone: found.timeZone };
        const stays = given.cron === undefined ? { runAt: found.runAt } : {};
        const times = { ...before, ...stays, ...given };
        const isLive = moved || (enabled && !found.enabled);
        const when = isLive
          ? due(times, enabled, await clock(bound))
          : { ...found, nextRunAt: enabled ? found.nextRunAt : undefined };
        const to = { ...found, ...given } as Shown;
        return bound.db.one(
          "schedules.update",
          Schedule,
          sql`
            update cams.schedules s
            set name = ${to.name}, event_type = ${to.eventType}, payload = ${asJson(to.payload)},
              priority = ${priorityRank(to.priority)}::smallint, enabled = ${enabled}::boolean, misfire = ${to.misfire},
              cron = ${when.cron}, time_zone = ${when.timeZone}, run_at = ${when.runAt}::timestamptz,
              next_run_at = ${when.nextRunAt}::timestamptz, updated_at = ${now}, updated_by = ${caller.principal},
              revision = s.revision + 1
            where s.schedule_id = ${id}
            returning ${shown}`,
        );
      });
    },

    /** @throws Problem schedule_not_found, revision_mismatch; forbidden */
    delete(id: string, revisions: readonly number[] | undefined): Promise<void> {
      return change(id, revisions, async ({ db }) => {
        await db.execute("schedules.delete", sql`delete from cams.schedules s where s.schedule_id = ${id}`);
      });
    },

    /**
     * Publishes its event now, whatever its times are.
     * @throws Problem schedule_not_found; forbidden
     */
    async run(id: string, traceparent: string | undefined): Promise<{ runId: string; eventId: string }> {
      return transaction(async (repo, bound) => {
        const found = await find(bound, id);
        const at = (await clock(bound)).toISOString();
        const [event] = await repo.events.publish([{ ...eventOf(found, at), id: randomUUID() }], traceparent);
        const eventId = (event as { eventId: string }).eventId;
        const { runId } = await bound.db.one(
          "schedules.record_run",
          z.object({ runId: z.string() }),
          sql`
            insert into cams.schedule_runs (run_id, schedule_id, scheduled_for, outcome, late, manual, at, event_id, actor)
            values (cams.uuid7(${now}), ${id}, ${at}::timestamptz, 'FIRED', false, true, ${now}, ${eventId}, ${caller.principal})
            returning run_id as "runId"`,
        );
        return { runId, eventId };
      });
    },

    /**
     * What became of each time, newest first.
     * @throws Problem schedule_not_found; forbidden
     */
    async runs(id: string, page: z.output<typeof PageQuery>) {
      await find(context, id);
      const cursor = readCursor(RunCursor, page.pageToken);
      const rows = await db.many(
        "schedules.runs",
        Run,
        sql`
          select r.run_id as "runId", r.scheduled_for as "scheduledFor", r.outcome, r.late, r.manual, r.at,
            r.event_id as "eventId", r.actor
          from cams.schedule_runs r
          where ${and([
            sql`r.schedule_id = ${id}`,
            cursor && sql`(r.scheduled_for, r.run_id) < (${cursor[0]}::timestamptz, ${cursor[1]}::uuid)`,
          ])}
          order by r.scheduled_for desc, r.run_id desc
          limit ${page.pageSize + 1}`,
      );
      return toPage(rows, page.pageSize, ({ scheduledFor, runId }) => [scheduledFor, runId]);
    },
  };
}

const asJson = (payload: unknown) => (payload === undefined ? undefined : JSON.stringify(payload));
