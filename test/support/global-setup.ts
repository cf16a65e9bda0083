import { cpSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startPostgres } from "../../scripts/postgres.ts";
import { migrate } from "../../shared/db/migrate.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A database of the server from which test databases are made. */
    adminUrl: string;
    /** A migrated database to clone. */
    template: string;
    /** A data folder of an embedded PostgreSQL that has been started and stopped once, to copy. */
    cluster: string;
  }
}

/** One real PostgreSQL for the whole run, embedded unless `DATABASE_URL` names one, and in it a migrated template. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "cams-test-"));
  // Making a cluster takes 2.3 s of processor time, copying one 0.15 s.
  const cluster = join(folder, "cluster");
  await (await startPostgres({ dataDir: cluster })).stop();
  const dataDir = join(folder, "server");
  cpSync(cluster, dataDir, { recursive: true });
  // What has to outlive a crash of the machine is no test's business here; bench/ and start.test.ts have servers of their own.
  const settings = { fsync: "off", max_connections: "400" };
  const embedded = process.env.DATABASE_URL ? undefined : await startPostgres({ dataDir, settings });
  const adminUrl = embedded?.url ?? (process.env.DATABASE_URL as string);
  const template = `cams_template_${process.pid}`;
  await run(adminUrl, `create database ${template}`);
  const url = databaseUrl(adminUrl, template);
  await migrate(new pg.Client(url));
  // Today and tomorrow: each partition costs every copy of the template, and every test that begins with none of its rows.
  await run(
    url,
    "select cams.make_partitions('message_archive', 1), cams.make_partitions('task_archive', 1), cams.make_partitions('events', 1)",
  );
  project.provide("adminUrl", adminUrl);
  project.provide("template", template);
  project.provide("cluster", cluster);
  return async () => {
    if (!embedded) await run(adminUrl, `drop database if exists ${template} with (force)`);
    await embedded?.stop("immediate");
    await rm(folder, { recursive: true, force: true });
  };
}

/** The same server, another database. */
export function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** Runs one statement on a connection of its own. */
export async function run(url: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}
