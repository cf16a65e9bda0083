import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { describeSchema } from "../scripts/describe-schema.ts";
import { migrate, SchemaError } from "../shared/db/migrate.ts";
import { DATABASE_ROLES } from "../shared/rules/access.ts";
import { databaseUrl, run } from "./support/global-setup.ts";
import { makerFor } from "./support/make.ts";
import { usePostgres } from "./support/postgres.ts";
import { startService } from "./support/service.ts";

/** What came with the roles, and after them. */
const SINCE = globSync("migrations/[0-9]*.sql")
  .map((file) => basename(file, ".sql"))
  .filter((name) => name > "0009")
  .toSorted();

const server = usePostgres();

let databases: string[] = [];
beforeEach(async () => {
  for (const name of databases) await run(server.url, `drop database ${name}`);
  databases = [];
  for (const role of [...DATABASE_ROLES, "deployer"]) await run(server.url, `drop role if exists ${role}`);
});

/** A new, empty database, as its owner sees it. */
async function databaseOf(owner: string, name: string): Promise<string> {
  await run(server.url, `create database ${name} owner ${owner}`);
  databases.push(name);
  const url = new URL(databaseUrl(server.url, name));
  if (owner === "deployer") Object.assign(url, { username: owner, password: "secret" });
  return url.href;
}

const up = (url: string) => migrate(new pg.Client(url));
const superuser = () => new URL(server.url).username;

/** As it was migrated before there were roles: whoever did it owns it all. */
async function migrateAsBefore(url: string): Promise<void> {
  const dbClient = new pg.Client(url);
  await dbClient.connect();
  await runner({
    dbClient,
    dir: "migrations",
    ignorePattern: "(?!\\d{4}_\\w+\\.sql$).*",
    direction: "up",
    count: 8,
    migrationsSchema: "cams",
    migrationsTable: "migrations",
    createMigrationsSchema: true,
    log: () => {},
  });
  await dbClient.end();
}

async function pictureOf(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  const text = await describeSchema(client);
  await client.end();
  return text;
}

test("a database from before there were roles becomes the migrator's, its rows stay, and retention drops its days", async () => {
  const url = await databaseOf(superuser(), "before");
  await migrateAsBefore(url);
  await run(
    url,
    `select cams.make_message_partitions(2);
     create table cams.message_archive_20200101 partition of cams.message_archive
       for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00');
     insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
       last_updated_timestamp, updated_by) values ('a', 'HTTP_ENDPOINT', 'https://a', now(), now(), 'test');
     insert into cams.webhook_secrets (ai_agent_address, secret) values ('a', 'sealed');
     insert into cams.messages (message_id, recipient_address, sender_address, message_type, payload, priority,
       time_to_live_seconds, accepted_at, rank_at, available_at, expires_at, ordering_key)
     select cams.uuid7(now()), 'a', 'b', 'm', '{}', 3, 60, now(), now(), now(), now() + interval '60 s', 'k'
     from generate_series(1, 3);
     insert into cams.message_archive (message_id, seq, recipient_address, sender_address, message_type, payload, priority,
       time_to_live_seconds, accepted_at, available_at, expires_at, attempt, attempts, status, finished_at)
     select gen_random_uuid(), 1, 'a', 'b', 'm', '{}', 3, 60, at, at, at, 1, '[]', 'EXPIRED', at
     from unnest('{2020-01-01 12:00:00+00, 2019-01-01 12:00:00+00}'::timestamptz[]) at`,
  );
  expect((await up(url)).applied).toEqual(SINCE);
  const picture = await readFile("migrations/schema.sql", "utf8");
  expect(await pictureOf(url)).toBe(picture);
  const service = await startService({}, { url, drop: async () => {} });
  expect((await service.delete("/v1/agent-inboxes/a")).status).toBe(204);
  const retained = await service.post("/v1/system/retention");
  expect(retained.body).toMatchObject({
    partitionsDropped: ["message_archive_20200101"],
    defaultPartitionRowsDeleted: 1,
    complete: true,
  });
  expect(await service.sql("select status from cams.message_archive")).toEqual(
    Array(3).fill({ status: "DEAD_LETTERED" }),
  );
  await service.close();
  expect((await migrate(new pg.Client(url), { to: 8 })).applied).toEqual(SINCE.toReversed());
  expect((await up(url)).applied).toEqual(SINCE);
  expect(await pictureOf(url)).toBe(picture);
});

describe("a user that is no superuser", () => {
  test("migrates and serves everything if it may make roles and owns the database", async () => {
    await run(server.url, "create role deployer login createrole password 'secret'");
    const url = await databaseOf("deployer", "owned");
    const { applied } = await up(url);
    expect(applied).toContain("0009_roles");
    expect(await up(url)).toMatchObject({ applied: [] });
    const service = await startService({}, { url, drop: async () => {} });
    await makerFor(service).leased({ orderingKey: "k" });
    expect((await service.post("/v1/system/migrate")).status).toBe(200);
    expect((await service.get("/metrics")).status).toBe(200);
    await service.close();
    // Down to nothing and up again, too.
    expect((await migrate(new pg.Client(url), { to: 0 })).applied).toHaveLength(applied.length);
    expect((await up(url)).applied).toEqual(applied);
    expect(await pictureOf(url)).toContain("belongs to cams_migrator.");
  });

  test("gets what it migrated before handed over", async () => {
    await run(server.url, "create role deployer login createrole password 'secret'");
    const url = await databaseOf("deployer", "owned");
    await migrateAsBefore(url);
    expect((await up(url)).applied).toEqual(SINCE);
    expect(await pictureOf(url)).toContain("belongs to cams_migrator.");
  });

  test("keeps a migrated database up to date as a member of cams_migrator alone", async () => {
    await up(await databaseOf(superuser(), "other"));
    await run(server.url, "create role deployer login noinherit password 'secret' in role cams_migrator");
    const url = new URL(databaseUrl(server.url, "other"));
    Object.assign(url, { username: "deployer", password: "secret" });
    const { applied } = await migrate(new pg.Client(url.href), { to: 3 });
    expect(applied).toEqual(expect.arrayContaining(SINCE));
    expect((await up(url.href)).applied).toEqual(applied.toReversed());
  });

  test("is told in one clear line what it lacks", async () => {
    await run(server.url, "create role deployer login password 'secret'");
    const url = await databaseOf("deployer", "owned");
    const missing = `the database roles ${DATABASE_ROLES.join(", ")} are missing, and deployer cannot make them without CREATEROLE`;
    await expect(up(url)).rejects.toThrow(new SchemaError(missing));
    await up(await databaseOf(superuser(), "other"));
    const noMember = "deployer cannot migrate: it is not a member of the database role cams_migrator";
    await expect(up(url)).rejects.toThrow(new SchemaError(noMember));
    await migrateAsBefore(databaseUrl(server.url, "owned"));
    await run(server.url, "grant cams_migrator to deployer");
    await expect(up(url)).rejects.toThrow(
      "deployer cannot hand over the schema cams to cams_migrator: must be owner of",
    );
  });
});

test("databases of one server are migrated at once, although they share the roles to be made", async () => {
  const urls = await Promise.all([1, 2, 3, 4].map((n) => databaseOf(superuser(), `at_once_${n}`)));
  const results = await Promise.all([...urls, ...urls].map(up));
  expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(4);
});
