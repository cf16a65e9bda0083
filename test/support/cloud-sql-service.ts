import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, type TestContext } from "vitest";
import { type EmbeddedPostgres, startPostgres } from "../../scripts/postgres.ts";
import { migrate } from "../../shared/db/migrate.ts";
import { DATABASE_ROLES } from "../../shared/rules/access.ts";
import { type FakeCloudSql, startCloudSql } from "./cloud-sql.ts";
import { databaseUrl, run } from "./global-setup.ts";
import { copyCluster } from "./postgres.ts";
import { type FakeMetadata, startMetadata } from "./pubsub.ts";
import { type Service, startService } from "./service.ts";

/** For polling: what comes within milliseconds takes seconds on a busy machine. */
export const SOON = { timeout: 25_000 };

/** The database user of the service account that the service runs as. */
export const IAM_USER = "cams-agent@project.iam";

/** A Cloud SQL instance with a migrated database, and what a service needs to use it. */
export interface World {
  cloudSql: FakeCloudSql;
  metadata: FakeMetadata;
  env: Record<string, string>;
  /** What its service's sessions are called in the database, which tests that run at the same time share. */
  name: string;
  /** Starts a service that reaches the database through the connector alone; it ends with the test. */
  start(env?: Record<string, string>): Promise<Service>;
}

/** A PostgreSQL for this file as Cloud SQL runs one: its IAM users have no passwords, the front vouches for them. */
export function useInstance() {
  const ends: (() => unknown)[] = [];
  let folder: string;
  let postgres: EmbeddedPostgres;
  let metadata: FakeMetadata;
  let worlds = 0;
  beforeAll(async () => {
    metadata = await startMetadata((end) => ends.push(end));
    folder = await mkdtemp(join(tmpdir(), "cams-cloud-sql-"));
    const rules = `${folder}.hba`;
    await writeFile(rules, `host all "${IAM_USER}" 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n`);
    copyCluster(folder);
    postgres = await startPostgres({ dataDir: folder, settings: { hba_file: rules } });
    await migrate(new pg.Client(postgres.url));
    await run(
      postgres.url,
      "select cams.make_partitions('message_archive', 14), cams.make_partitions('task_archive', 14), cams.make_partitions('events', 14)",
    );
    await run(postgres.url, `create role "${IAM_USER}" login in role ${DATABASE_ROLES.join(", ")}`);
  });
  afterAll(async () => {
    for (const end of ends) await end();
    await postgres?.stop("immediate");
    await rm(folder, { recursive: true, force: true });
    await rm(`${folder}.hba`, { force: true });
  });

  return {
    url: () => postgres.url,
    async world({ onTestFinished }: Pick<TestContext, "onTestFinished">, database = "cams"): Promise<World> {
      const cloudSql = await startCloudSql(postgres.port, onTestFinished);
      const name = `cams-${++worlds}`;
      const env = {
        ...cloudSql.env,
        DB_USER: IAM_USER,
        DB_NAME: database,
        DB_POOL_SIZE: "4",
        FUNCTION_TARGET: name,
      };
      return {
        cloudSql,
        metadata,
        env,
        name,
        async start(more = {}) {
          const url = databaseUrl(postgres.url, database);
          const service = await startService({ ...env, ...more }, { url, drop: async () => {} });
          onTestFinished(() => service.close());
          return service;
        },
      };
    },
  };
}
