import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { SUPERUSER } from "./cluster.ts";

const OWNER = "cams-owner:";

/** Opens a session of the superuser. */
export async function connect(port: number, password: string, applicationName: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: SUPERUSER,
    password,
    database: "postgres",
    ssl: false,
    application_name: applicationName,
    connectionTimeoutMillis: 5000,
  });
  // PostgreSQL ends this session whenever it crashes or stops, which its user notices by other means.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Opens the session that marks a cluster as owned by this process for as long as it lives. */
export function connectOwner(port: number, password: string): Promise<pg.Client> {
  return connect(port, password, `${OWNER}${process.pid}`);
}

/** Lets the process end although a session is still open. */
export function unref(client: pg.Client): void {
  (client.connection.stream as { unref?: () => void }).unref?.();
}

/** Reads the process id of the living owner, if there is one. */
export async function findOwner(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT application_name AS name FROM pg_stat_activity WHERE starts_with(application_name, $1)",
    [OWNER],
  );
  return rows[0]?.name.slice(OWNER.length);
}

/** Tells whether the server behind a session uses this very cluster, by letting it look for a new file. */
export async function usesCluster(client: pg.Client, cluster: string): Promise<boolean> {
  const name = `cams-probe-${randomUUID()}`;
  writeFileSync(join(cluster, name), "");
  try {
    const { rows } = await client.query("SELECT (pg_stat_file($1, true)).size IS NOT NULL AS found", [name]);
    return rows[0].found;
  } finally {
    rmSync(join(cluster, name));
  }
}

/** Creates the database unless it exists. */
export async function ensureDatabase(client: pg.Client, database: string): Promise<void> {
  const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
}
