import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";

const folder = fileURLToPath(new URL("../../migrations", import.meta.url));
const MIGRATION = /^\d{4}_\w+\.sql$/;

/** Thrown when code and schema do not belong together; the message is one clear line. */
export class SchemaError extends Error {}

/**
 * Brings the schema up to date; of several at once one works and the others wait. Answers what was applied and the newest
 * migration. `to` migrates down instead, until only that many migrations are left.
 * @throws SchemaError when the database is newer than this code, or an applied migration was edited
 */
export async function migrate(client: pg.Client, to?: number): Promise<{ applied: string[]; version: string }> {
  // Loaded only here: functions that serve requests never migrate.
  const { runner } = await import("node-pg-migrate");
  const files = (await readdir(folder)).filter((file) => MIGRATION.test(file)).sort();
  const sums = new Map<string, string>();
  for (const file of files) {
    const text = await readFile(`${folder}/${file}`);
    sums.set(file.replace(/\.sql$/, ""), createHash("sha256").update(text).digest("hex"));
  }
  await client.connect();
  try {
    await client.query("set statement_timeout = 0");
    await client.query("set idle_in_transaction_session_timeout = 0");
    await verify(client, sums);
    const down = to === undefined ? undefined : (await appliedNames(client)).length - to;
    const done =
      down === 0
        ? []
        : await runner({
            dbClient: client,
            dir: folder,
            ignorePattern: "(?!\\d{4}_\\w+\\.sql$).*",
            direction: down === undefined ? "up" : "down",
            count: down ?? Number.POSITIVE_INFINITY,
            migrationsSchema: "cams",
            migrationsTable: "migrations",
            createMigrationsSchema: true,
            advisoryLockMode: "wait",
            singleTransaction: true,
            log: () => {},
          });
    await client.query("alter table cams.migrations add column if not exists sha256 text");
    await client.query(
      "update cams.migrations m set sha256 = s.sha256 from unnest($1::text[], $2::text[]) s (name, sha256) " +
        "where m.name = s.name and m.sha256 is null",
      [[...sums.keys()], [...sums.values()]],
    );
    return { applied: done.map(({ name }) => name), version: (await appliedNames(client)).at(-1) ?? "none" };
  } finally {
    await client.end();
  }
}

async function appliedNames(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query("select to_regclass('cams.migrations') is not null as there");
  if (!rows[0].there) return [];
  return (await client.query("select name from cams.migrations order by id")).rows.map((row) => row.name);
}

async function verify(client: pg.Client, sums: Map<string, string>): Promise<void> {
  const names = await appliedNames(client);
  const unknown = names.filter((name) => !sums.has(name));
  if (unknown.length > 0) throw new SchemaError(`the database is newer than this code: it has ${unknown.join(", ")}`);
  if (names.length === 0) return;
  const { rows } = await client.query("select name, to_jsonb(m) ->> 'sha256' as sha256 from cams.migrations m");
  const edited = rows.filter(({ name, sha256 }) => sha256 !== null && sha256 !== sums.get(name));
  if (edited.length > 0)
    throw new SchemaError(
      `migrations were edited after they were applied: ${edited.map(({ name }) => name).join(", ")}`,
    );
}
