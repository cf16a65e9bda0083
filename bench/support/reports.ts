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

/** What reports left behind: share of updates in place, and bytes after each quarter of them. */
interface Traces {
  hot: number;
  sizes: { table: number; index: number }[];
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
): Promise<Traces> {
  await database.sql("alter table cams.agent_inboxes set (autovacuum_enabled = off)");
  const config = readConfig({ DATABASE_URL: database.url, DB_POOL_SIZE: "1", LOG_LEVEL: "ERROR" });
  const log = createLogger({ level: config.LOG_LEVEL, transport: "console", format: "json" });
  const { pool, client, close } = await openConnections(config, log);
  const db = createDatabase({ pool, log, metrics: createMetrics(), constraints });
  const hints = createHints({ pool, client, log, lingerMs: 0 });
  const at = (milliseconds: number) =>
    createRepository(db, hints, sql`${new Date(milliseconds).toISOString()}::timestamptz`);

  const cadence = INTERVAL_MS / perInterval;
  const start = Date.now();
  let vacuumed = start;
  const sizes: Traces["sizes"] = [];
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
    if (pass % Math.floor(passes / 4) === 0) sizes.push(await sizesOf(database));
  }
  // A session's counts reach the shared statistics at its end at the latest.
  await hints.close();
  await close();
  const [row] = await database.sql<{ hot: number }>(
    "select n_tup_hot_upd::float8 / n_tup_upd as hot from pg_stat_user_tables where relname = 'agent_inboxes'",
  );
  return { hot: row?.hot ?? Number.NaN, sizes };
}

async function sizesOf(database: BenchDatabase) {
  const [row] = await database.sql<{ table: number; index: number }>(
    `select pg_table_size('cams.agent_inboxes')::float8 as table,
       pg_relation_size('cams.agent_inboxes_sweep')::float8 as index`,
  );
  return row ?? { table: 0, index: 0 };
}
