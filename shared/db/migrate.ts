import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import checksums from "../../migrations/checksums.json" with { type: "json" };
import { type Grant, refuseUnknownUsers, settleGrants } from "./grants.ts";
import { becomeOwner, becomePreparer, handOver, prepareRoles, SchemaError } from "./roles.ts";

export { SchemaError } from "./roles.ts";

const folder = fileURLToPath(new URL("../../migrations", import.meta.url));
const MIGRATION = /^(\d{4}_\w+)\.sql$/;
/** The SHA-256 of each migration's file, by name, oldest first. */
const sums = new Map<string, string>(Object.entries(checksums));

/** What a run of the migrations did: their names, the newest in the database, and `user=role` for each right. */
export interface Migration {
  applied: string[];
  version: string;
  granted: string[];
  revoked: string[];
}

/**
 * Brings roles, schema and, where they are given, the users' rights up to date; of several at once one works and the
 * others wait. `on` is a client not yet connected, or how to get one that is. `to` migrates down instead, until only that
 * many migrations are left, and leaves the rights alone.
 * @throws SchemaError when the database is newer than this code, an applied migration was edited, a user does not exist,
 *   or the connected user may not do what is to be done
 */
export async function migrate(
  on: pg.Client | (() => Promise<pg.Client>),
  { grants, to }: { grants?: readonly Grant[] | undefined; to?: number } = {},
): Promise<Migration> {
  // Loaded only here: functions that serve requests never migrate.
  const { runner } = await import("node-pg-migrate");
  await refuseOtherFiles();
  const run = (direction: "up" | "down", count: number) =>
    runner({
      dbClient: client,
      dir: folder,
      ignorePattern: "(?!\\d{4}_\\w+\\.sql$).*",
      direction,
      count,
      migrationsSchema: "cams",
      migrationsTable: "migrations",
      advisoryLockMode: "wait",
      singleTransaction: true,
      log: () => {},
    });
  const client = typeof on === "function" ? await on() : on;
  if (client === on) await client.connect();
  try {
    await client.query("set statement_timeout = 0");
    await client.query("set idle_in_transaction_session_timeout = 0");
    // Until the connection ends.
    await client.query("select pg_advisory_lock(hashtextextended('cams.migrations', 7261))");
    if (grants) await refuseUnknownUsers(client, grants);
    await prepareRoles(client);
    await handOver(client);
    await becomeOwner(client);
    await verify(client);
    const before = (await appliedNames(client)).length;
    const done = [];
    if (before === 0 && to === undefined) {
      // A schema is made by who may create in the database, which nobody need be but the user who does this first.
      await becomePreparer(client);
      await client.query("create schema if not exists cams");
      done.push(...(await run("up", 1)));
      await handOver(client);
      await becomeOwner(client);
    }
    if (to === undefined) done.push(...(await run("up", Number.POSITIVE_INFINITY)));
    else if (before > to) done.push(...(await run("down", before - to)));
    await client.query("alter table cams.migrations add column if not exists sha256 text");
    await client.query(
      "update cams.migrations m set sha256 = s.sha256 from unnest($1::text[], $2::text[]) s (name, sha256) " +
        "where m.name = s.name and m.sha256 is null",
      [[...sums.keys()], [...sums.values()]],
    );
    const version = (await appliedNames(client)).at(-1) ?? "none";
    const settled = grants && to === undefined ? await settleGrants(client, grants) : { granted: [], revoked: [] };
    return { applied: done.map(({ name }) => name), version, ...settled };
  } finally {
    await client.end();
  }
}

/** A file that is not in the list would be run unchecked, and the next run would take the database for a newer one. */
async function refuseOtherFiles(): Promise<void> {
  const names = (await readdir(folder)).flatMap((file) => MIGRATION.exec(file)?.[1] ?? []);
  const differ = [
    ...names.filter((name) => !sums.has(name)),
    ...[...sums.keys()].filter((name) => !names.includes(name)),
  ];
  if (differ.length > 0)
    throw new SchemaError(`migrations/checksums.json is stale: run npm run generate (${differ.join(", ")})`);
}

async function appliedNames(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query("select to_regclass('cams.migrations') is not null as there");
  if (!rows[0].there) return [];
  return (await client.query("select name from cams.migrations order by id")).rows.map((row) => row.name);
}

async function verify(client: pg.Client): Promise<void> {
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
