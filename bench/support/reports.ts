import { readConfig } from "../../shared/config.ts";
import { createDatabase } from "../../shared/db/database.ts";
import { createHints } from "../../shared/db/hints.ts";
import { openConnections } from "../../shared/db/pool.ts";
import { sql } from "../../shared/db/sql.ts";
import { createLogger } from "../../shared/logging/index.ts";
import { createMetrics } from "../../shared/metrics/index.ts";
import { constraints, createRepository } from "../../shared/repository/index.ts";
import type { BenchDatabase } from "./database.ts";
import { addressOf } from "./rows.ts";

const INTERVAL_MS = 60_000;
/** Autovacuum looks at a database each minute (autovacuum_naptime), and so many reports are always enough for it. */
const VACUUM_EVERY_MS = 60_000;
const BATCH = 500;

/** What is there after a quarter, a half … of the reports: updates so far, those in place among them, and bytes. */
interface Traces {
  updates: number;
  hot: number;
  table: number;
  index: number;
}

/**
 * Has every inbox report `passes` times, `perInterval` times in its interval give or take a tenth, by the repository's
 * own statement. The clock it reads is simulated, and the table is vacuumed as often as autovacuum would by that clock,
 * so minutes pass in seconds and nothing else differs.
 */
export async function simulateReports(
  database: BenchDatabase,
  inboxes: number,
  perInterval: number,
  passes: number,
): Promise<Traces[]> {
  await database.sql("alter table cams.agent_inboxes set (autovacuum_enabled = off)");
  const config = readConfig({ AUTH_MODE: "none", DATABASE_URL: database.url, DB_POOL_SIZE: "1", LOG_LEVEL: "ERROR" });
  const log = createLogger({ level: config.LOG_LEVEL, transport: "console", format: "json" });
  const { client, close, ...connections } = await openConnections(config, log);
  const pool = connections.pool("cams_agent");
  const db = createDatabase({ pool, log, metrics: createMetrics(), constraints });
  const hints = createHints({ pool: connections.connected, client, log, lingerMs: 0 });
  const at = (milliseconds: number) =>
    createRepository(db, hints, sql`${new Date(milliseconds).toISOString()}::timestamptz`);

  const cadence = INTERVAL_MS / perInterval;
  const start = Date.now();
  let vacuumed = start;
  const traces: Traces[] = [];
  for (let pass = 1; pass <= passes; pass++) {
    for (let first = 1; first <= inboxes; first += BATCH) {
      const due = start + (pass + first / inboxes + (Math.random() - 0.5) / 5) * cadence;
      const addresses = Array.from({ length: Math.min(BATCH, inboxes - first + 1) }, (_, n) => addressOf(first + n));
      await at(due).health.report(addresses.map((aiAgentAddress) => ({ aiAgentAddress, status: "HEALTHY" })));
    }
    const now = start + (pass + 1) * cadence;
    if (now - vacuumed >= VACUUM_EVERY_MS) {
      await database.sql("vacuum cams.agent_inboxes");
      vacuumed = now;
    }
    if (pass % Math.floor(passes / 4) === 0) {
      // A session tells its counts now and then only, unless told to.
      await pool.query("select pg_stat_force_next_flush()");
      traces.push(await tracesOf(database));
    }
  }
  await hints.close();
  await close();
  return traces;
}

async function tracesOf(database: BenchDatabase): Promise<Traces> {
  const [row] = await database.sql<Traces>(
    `select n_tup_upd::float8 as updates, n_tup_hot_upd::float8 as hot, pg_table_size(relid)::float8 as table,
       pg_relation_size('cams.agent_inboxes_sweep')::float8 as index
     from pg_stat_user_tables where relid = 'cams.agent_inboxes'::regclass`,
  );
  if (!row) throw new Error("the table has no statistics");
  return row;
}
