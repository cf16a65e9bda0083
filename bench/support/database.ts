import pg from "pg";
import { migrate } from "../../shared/db/migrate.ts";

/** A migrated database of one benchmark. */
export interface BenchDatabase {
  url: string;
  /** Runs SQL past the service, as the owner of everything. */
  sql<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** A connection of its own, to hold a transaction open or to listen. */
  client(): Promise<pg.Client>;
  /** Runs `insert(from, to)` for 1 to `rows`, without triggers, then vacuums and checkpoints, so that no turn pays for the filling. */
  fill(table: string, rows: number, insert: (from: number, to: number) => string): Promise<void>;
  drop(): Promise<void>;
}

/** Fewer rows than this are inserted quicker than the table's indexes are made anew. */
const BULK = 200_000;

/** Makes a database on the server of `serverUrl`, with PostgreSQL's `settings` for it alone. */
export async function createBenchDatabase(
  serverUrl: string,
  name: string,
  settings: Record<string, string>,
): Promise<BenchDatabase> {
  await run(serverUrl, `create database ${name}`);
  for (const [key, value] of Object.entries(settings))
    await run(serverUrl, `alter database ${name} set ${key} = '${value}'`);
  const address = new URL(serverUrl);
  address.pathname = `/${name}`;
  const url = address.href;
  await migrate(new pg.Client(url));
  await run(url, "select cams.make_partitions('message_archive', 14), cams.make_partitions('task_archive', 14)");
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on("error", () => {});
  const sql = async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
    (await pool.query<T>(text, values)).rows;

  return {
    url,
    sql,
    client: () => connected(url),
    async fill(table, rows, insert) {
      const again = rows >= BULK ? await dropIndexes(sql, table) : [];
      const half = Math.floor(rows / 2);
      const bulk = (statement: string) =>
        sql(`begin; set local session_replication_role = replica; ${statement}; commit`);
      await Promise.all([bulk(insert(1, half)), bulk(insert(half + 1, rows))]);
      for (const statement of again) await sql(statement);
      await sql(`vacuum analyze ${table}`);
      await sql("checkpoint");
    },
    async drop() {
      await pool.end();
      await run(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

/** Drops the indexes that are no constraints; answers the statements that make them again. */
async function dropIndexes(sql: BenchDatabase["sql"], table: string): Promise<string[]> {
  const indexes = await sql<{ name: string; statement: string }>(
    `select i.indexrelid::regclass as name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as statement
     from pg_index i
     where i.indrelid = $1::regclass and not exists (select from pg_constraint k where k.conindid = i.indexrelid)`,
    [table],
  );
  for (const { name } of indexes) await sql(`drop index ${name}`);
  return indexes.map(({ statement }) => statement);
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  return client;
}

async function run(url: string, statement: string): Promise<void> {
  const client = await connected(url);
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
