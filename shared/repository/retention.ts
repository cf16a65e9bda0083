import * as z from "zod";
import type { Database } from "../db/database.ts";
import { type Sql, sql } from "../db/sql.ts";
import type { Archive } from "../rules/archives.ts";
import type { Context } from "./index.ts";

const Made = z.object({ made: z.int().optional() });
const Old = z.object({ name: z.string() });
const Dropped = z.object({ dropped: z.boolean().optional() });
const Found = z.object({ rows: z.int() });
const Slice = z.object({ deleted: z.int(), last: z.union([z.string(), z.int()]).optional() });

/** Where finished rows are for whose time there was no partition. */
const REST: Record<Archive, Sql> = {
  message_archive: sql`cams.message_archive_default`,
  task_archive: sql`cams.task_archive_default`,
  events: sql`cams.events_default`,
};
/** By which time an archive is cut. */
const TIME: Record<Archive, Sql> = {
  message_archive: sql`finished_at`,
  task_archive: sql`finished_at`,
  events: sql`published_at`,
};

/** Deletes up to `limit` rows behind the slice that ended at `after`; answers how many, and where it ended. */
export type DeleteSlice = (limit: number, after?: string | number) => Promise<z.output<typeof Slice>>;

/** What is kept no longer. Rows are deleted in slices that skip what others hold, so that nothing here waits for a row. */
export function retention({ db, now }: Context) {
  // Behind a day's dead rows, which an old transaction keeps from being vacuumed, the first slice takes its time.
  const patiently = <T>(work: (db: Database) => Promise<T>) => db.transaction(work, { statementTimeoutSeconds: 55 });
  const before = (days: number): Sql => sql`${now} - make_interval(days => ${days}::integer)`;

  /** Every slice begins where the last one ended: from the beginning it would read all that those before it deleted. */
  const deleteUntil = (operation: string, table: Sql, time: Sql, end: Sql): DeleteSlice => {
    return (limit, after = "-infinity") =>
      patiently((db) =>
        db.one(
          operation,
          Slice,
          sql`
          with old as materialized (
            select ctid as place, ${time} as time from ${table}
            -- Compared as a row: a range is thought to be 0.5 % of a table without statistics, and sorted every time.
            where (${time}, ctid) >= (${after}::timestamptz, '(0,0)'::tid) and ${time} <= ${end}
            order by ${time}
            limit ${limit}
            for update skip locked
          ), deleted as (
            delete from ${table} where ctid = any (array(select place from old))
          )
          select count(*) as deleted, max(time) as last from old`,
        ),
      );
  };

  /**
   * Looks at the oldest by number: `at` is not indexed, and runs ahead of the number by one transaction's length at
   * most. So behind a slice without old ones nothing is older than it by more than that, and the next run gets it.
   */
  const deleteOldest = (operation: string, table: Sql, end: Sql): DeleteSlice => {
    return (limit, after = 0) =>
      patiently((db) =>
        db.one(
          operation,
          Slice,
          sql`
          with oldest as materialized (
            select ctid as place, transition_id, at from ${table}
            where transition_id > ${after}::bigint
            order by transition_id
            limit ${limit}
            for update skip locked
          ), deleted as (
            delete from ${table} where ctid = any (array(select place from oldest where at <= ${end}))
          )
          select count(*) filter (where at <= ${end}) as deleted, max(transition_id) as last from oldest`,
        ),
      );
  };

  return {
    /** Makes an archive's partitions for the next two weeks; answers how many, nothing when it was in use. */
    async makePartitions(archive: Archive): Promise<number | undefined> {
      const statement = sql`select cams.try_make_partitions(${archive}, 14) as made`;
      return (await db.one("retention.make_partitions", Made, statement)).made;
    },

    /** The archive's partitions that are over for so many days, oldest first. */
    async oldPartitions(archive: Archive, days: number): Promise<string[]> {
      const statement = sql`select name from cams.old_partitions(${archive}, ${days}::integer) name`;
      return (await db.many("retention.old_partitions", Old, statement)).map(({ name }) => name);
    },

    /** Drops one of them: false when the archive was in use, undefined when another did it. */
    async dropPartition(archive: Archive, name: string, days: number): Promise<boolean | undefined> {
      const statement = sql`select cams.drop_partition(${archive}, ${name}, ${days}::integer) as dropped`;
      return (await db.one("retention.drop_partition", Dropped, statement)).dropped;
    },

    /** Rows of an archive for whose time there was no partition, counted up to `limit`. */
    async defaultPartitionRows(archive: Archive, limit: number): Promise<number> {
      const { rows } = await db.one(
        "retention.default_partition_rows",
        Found,
        sql`select count(*) as rows from (select from ${REST[archive]} limit ${limit}) counted`,
      );
      return rows;
    },

    deleteDefaultPartitionRows: (archive: Archive, days: number) =>
      deleteUntil("retention.delete_default_partition_rows", REST[archive], TIME[archive], before(days)),
    deleteIdempotencyKeys: deleteUntil(
      "retention.delete_idempotency_keys",
      sql`cams.idempotency_keys`,
      sql`kept_until`,
      now,
    ),
    deleteEventKeys: deleteUntil("retention.delete_event_keys", sql`cams.event_keys`, sql`kept_until`, now),
    deleteScheduleRuns: (days: number) =>
      deleteUntil("retention.delete_schedule_runs", sql`cams.schedule_runs`, sql`at`, before(days)),
    deleteMessageKeys: deleteUntil("retention.delete_message_keys", sql`cams.message_keys`, sql`kept_until`, now),

    deleteHealthTransitions: (days: number) =>
      deleteOldest("retention.delete_health_transitions", sql`cams.health_transitions`, before(days)),
    deleteAgentTransitions: (days: number) =>
      deleteOldest("retention.delete_agent_transitions", sql`cams.agent_transitions`, before(days)),
  };
}
