import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Service } from "../support/service.ts";

/** What is cut by time: by what step, kept for how many days, where a run counts rows without a partition. */
export const archives = [
  {
    archive: "message_archive",
    time: "finished_at",
    step: "day",
    format: "YYYYMMDD",
    days: 30,
    count: "defaultPartitionRowsDeleted",
  },
  {
    archive: "task_archive",
    time: "finished_at",
    step: "month",
    format: "YYYYMM",
    days: 365,
    count: "defaultTaskRowsDeleted",
  },
  {
    archive: "events",
    time: "published_at",
    step: "day",
    format: "YYYYMMDD",
    days: 30,
    count: "defaultEventRowsDeleted",
  },
] as const;
type Cut = Omit<(typeof archives)[number], "count" | "days" | "time">;

/** What a run answers that finds nothing to do. */
export const nothing = {
  complete: true,
  partitionsMade: 0,
  partitionsDropped: [],
  partitionsLeft: [],
  defaultPartitionRows: 0,
  defaultPartitionRowsDeleted: 0,
  defaultTaskRowsDeleted: 0,
  defaultEventRowsDeleted: 0,
  idempotencyKeysDeleted: 0,
  messageKeysDeleted: 0,
  eventKeysDeleted: 0,
  scheduleRunsDeleted: 0,
  healthTransitionsDeleted: 0,
  agentTransitionsDeleted: 0,
  previousSecretsDeleted: 0,
  secretsResealed: 0,
  secretsUnreadable: 0,
};

/** What makes a row of an archive, of a time `at`. */
const FINISHED: Record<Cut["archive"], (id: string) => string> = {
  message_archive: (id) =>
    `insert into cams.message_archive (message_id, seq, recipient_address, sender_address, message_type, payload,
       priority, time_to_live_seconds, accepted_at, available_at, expires_at, attempt, attempts, status, finished_at)
     select '${id}', 1, 'a', 'b', 'm', '0', 3, 60, at, at, at, 1, '[]', 'EXPIRED', at`,
  task_archive: (id) =>
    `insert into cams.task_archive (task_id, seq, type, payload, priority, cause_kind, depends_on, timeout_seconds,
       max_attempts, submitted_at, submitted_by, attempt, attempts, state, finished_at)
     select '${id}', 1, 't', '0', 3, 'MANUAL', '{}', 60, 1, at, 's', 0, '[]', 'CANCELLED', at`,
  events: (id) =>
    `insert into cams.events (event_id, published_at, published_by, source, id, type, time, priority, routed)
     select '${id}', at, 'p', 's', '${id}', 't', at, 3, true`,
};

/** What the tests of retention repeat. */
export function retentionOf(service: Service) {
  const sql = <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => service.sql<T>(text, values);
  return {
    retain: () => service.post("/v1/system/retention"),

    /** The partition of a time (SQL) and the one so many steps after it; made if it is not there; answers its name. */
    async partition({ archive, step, format }: Cut, time: string, steps = 0): Promise<string> {
      const [bounds] = await sql<{ name: string; from: string; to: string }>(
        `select '${archive}_' || to_char(start, '${format}') as name, start || 'Z' as from,
           start + interval '1 ${step}' || 'Z' as to
         from (select date_trunc('${step}', (${time}) at time zone 'UTC') + ${steps} * interval '1 ${step}' as start) starts`,
      );
      if (!bounds) throw new Error("no time");
      await sql(
        `create table if not exists cams.${bounds.name} partition of cams.${archive}
           for values from ('${bounds.from}') to ('${bounds.to}')`,
      );
      return bounds.name;
    },

    /** The names of an archive's partitions. */
    async partitions(archive: string): Promise<string[]> {
      const found = await sql<{ name: string }>(
        "select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = $1::regclass",
        [`cams.${archive}`],
      );
      return found.map(({ name }) => name);
    },

    /** A row of an archive that finished at a time (SQL); answers its id. */
    async finished(archive: Cut["archive"], time: string): Promise<string> {
      const id = randomUUID();
      await sql(`${FINISHED[archive](id)} from (select ${time} as at) times`);
      return id;
    },

    /** Makes idempotency keys that lapsed within the last hour. */
    insertKeys: (count: number) =>
      sql(
        `insert into cams.idempotency_keys (principal, function, key, request_hash, kept_until)
         select 'p', 'f', n::text, '', now() - make_interval(secs => n % 3600) from generate_series(1, $1::integer) n`,
        [count],
      ),

    /** Runs `work` in a transaction that is taken back. */
    async takenBack(work: (client: pg.Client) => Promise<void>): Promise<void> {
      const client = new pg.Client(service.databaseUrl);
      await client.connect();
      try {
        await client.query("begin");
        await work(client);
      } finally {
        await client.end();
      }
    },

    /** Brings the archives' partitions back to what they were before the test. */
    async tidy(): Promise<void> {
      // A row in a default partition would keep that of its time from being made.
      await sql("delete from cams.task_archive; delete from cams.message_archive; delete from cams.events");
      for (const { archive } of archives) {
        await sql("select cams.drop_partition($1, old, 0) from cams.old_partitions($1, 0) old", [archive]);
        await sql("select cams.make_partitions($1, 14)", [archive]);
      }
    },
  };
}
