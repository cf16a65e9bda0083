import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadWithin } from "../scripts/definitions/within.ts";
import { describeSchema } from "../scripts/describe-schema.ts";
import { migrate, SchemaError } from "../shared/db/migrate.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { makerFor } from "./support/make.ts";
import { startService } from "./support/service.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase({ empty: true });
});
afterEach(() => database.drop());

const up = (to?: number) => migrate(new pg.Client(database.url), to === undefined ? {} : { to });

async function picture(): Promise<string> {
  const client = new pg.Client(database.url);
  await client.connect();
  const text = await describeSchema(client);
  await client.end();
  return text;
}

test("from empty they give the schema of migrations/schema.sql", async () => {
  const { applied, version } = await up();
  expect(applied.length).toBeGreaterThan(5);
  expect(version).toBe(applied.at(-1));
  expect(await picture()).toBe(await readFile("migrations/schema.sql", "utf8"));
});

test("applied twice they change nothing the second time", async () => {
  const first = await up();
  expect(await up()).toEqual({ applied: [], version: first.version, granted: [], revoked: [] });
});

test("down to nothing and up again gives the same schema", async () => {
  const { applied } = await up();
  const before = await picture();
  const { applied: undone } = await up(0);
  expect(undone).toEqual(applied.toReversed());
  expect(await picture()).not.toContain("create table");
  await up();
  expect(await picture()).toBe(before);
});

/** Definitions of every kind: published ones with triggers, a team with its lock, a version that was, a draft, a retired one. */
async function fillDefinitions() {
  const service = await startService({}, { url: database.url, drop: async () => {} });
  await loadWithin(service.app, "examples/definitions");
  const make = makerFor(service);
  const { id } = await make.published();
  await make.published({ metadata: { id, version: "2.0.0" } });
  await make.definition({ metadata: { id, version: "3.0.0" } });
  await service.delete(`/v1/definitions/${(await make.published()).id}`);
  const { rows } = await run(
    database.url,
    `select (select count(*) from cams.definition_versions where member_lock is not null)::int as locks,
       (select count(*) from cams.definition_versions where status = 'DRAFT')::int as drafts,
       (select count(*) from cams.subscriptions)::int as subscriptions`,
  );
  expect(rows).toEqual([{ locks: 1, drafts: 1, subscriptions: expect.any(Number) }]);
  expect(rows[0].subscriptions).toBeGreaterThan(0);
  await service.close();
}

test("each can be taken back alone, with rows in the tables", async () => {
  const { applied } = await up();
  await fillDefinitions();
  await run(
    database.url,
    "select cams.make_partitions('message_archive', 2), cams.make_partitions('task_archive', 40), cams.make_partitions('events', 20)",
  );
  await run(
    database.url,
    `insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
       last_updated_timestamp, updated_by) values ('a', 'PULL_QUEUE', 'a', now(), now(), 'test');
     insert into cams.messages (message_id, recipient_address, sender_address, message_type, payload, priority,
       time_to_live_seconds, accepted_at, rank_at, available_at, expires_at)
     values (cams.uuid7(now()), 'a', 'b', 'm', '{}', 3, 60, now(), now(), now(), now() + interval '60 s');
     update cams.agent_inboxes set quarantined_at = now(), quarantine_reason = 'r', quarantined_by = 'b';
     insert into cams.agents (agent_id, name, type, ai_agent_address, created_at, created_by, updated_at, updated_by,
       definition_id, definition_version)
     select 'a', 'a', 't', 'a', now(), 'test', now(), 'test', definition_id, current_version
     from cams.definitions where current_version is not null and kind = 'Agent' limit 1;
     update cams.agents set state = 'RUNNING';
     insert into cams.tasks (task_id, agent_id, type, payload, priority, cause_kind, timeout_seconds, max_attempts,
       submitted_at, submitted_by, rank_at, available_at)
     select cams.uuid7(now()), 'a', 't', '{}', 3, 'MANUAL', 300, 3, now(), 'test', now(), now() from generate_series(1, 3);
     insert into cams.task_dependencies (depends_on, task_id) select (array_agg(task_id))[1], (array_agg(task_id))[2] from cams.tasks;
     insert into cams.definition_costs (definition_id, month, slot, cost_usd) values ('a', '2026-11-01', 1, 1);
     insert into cams.budget_notices (definition_id, month, percent, at, limit_usd, cost_usd)
     values ('a', '2026-11-01', 90, now(), 1, 1);
     insert into cams.events (event_id, published_at, published_by, source, id, type, time, data, priority, routed)
     values (cams.uuid7(now()), now(), 'test', '/a', '1', 'e', now(), 'null', 3, true),
       (cams.uuid7(now()), '2020-01-01', 'test', '/a', '2', 'e', now(), null, 3, false);
     insert into cams.event_keys (source, id, event_id, content_hash, messages, tasks, kept_until)
     select source, id, event_id, '\\x00', 0, 0, now() from cams.events;
     insert into cams.subscriptions (event_type, ai_agent_address, created_at, created_by) values ('#', 'a', now(), 'test');
     insert into cams.schedules (schedule_id, name, event_type, payload, priority, cron, time_zone, enabled, misfire,
       next_run_at, created_at, created_by, updated_at, updated_by)
     values (cams.uuid7(now()), 's', 'e', '{}', 3, '* * * * *', 'UTC', true, 'once', now(), now(), 'test', now(), 'test');
     insert into cams.schedule_runs (run_id, schedule_id, scheduled_for, outcome, late, manual, at, actor)
     select cams.uuid7(now()), schedule_id, now(), 'SKIPPED', true, false, now(), 'cams' from cams.schedules;
     with done as (delete from cams.tasks where task_id = (select task_id from cams.tasks order by seq desc limit 1) returning *)
     select cams.archive_task(done, 'CANCELLED', 'CANCELLED', now(), null, null, '{"code": "c"}') from done`,
  );
  for (let left = applied.length - 1; left >= 0; left--) expect((await up(left)).applied).toHaveLength(1);
});

test("definitions that were taken back come in again, and their history goes on", async () => {
  const { applied } = await up();
  await fillDefinitions();
  const before = applied.indexOf("0013_definitions");
  await up(before);
  expect((await up()).applied).toEqual(applied.slice(before));
  const service = await startService({}, { url: database.url, drop: async () => {} });
  expect((await service.get("/v1/definitions")).body.items).toEqual([]);
  await loadWithin(service.app, "examples/definitions");
  const { body } = await service.get("/v1/definitions/ana");
  expect(body).toMatchObject({ current: true, lock: expect.any(Array) });
  const { items } = (await service.get("/v1/definitions/ana/history")).body;
  expect(items.filter(({ action }: { action: string }) => action === "version_published")).toHaveLength(2);
  expect((await service.get("/v1/audit/verify")).body.valid).toBe(true);
  await service.close();
});

test("of four starters at once one applies and the others find nothing to do", async () => {
  const results = await Promise.all([up(), up(), up(), up()]);
  expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
});

test("a schema newer than the code is refused in one clear line", async () => {
  await up();
  await run(database.url, "insert into cams.migrations (name, run_on) values ('9999_future', now())");
  await expect(up()).rejects.toThrow(new SchemaError("the database is newer than this code: it has 9999_future"));
});

test("a migration edited after it was applied is refused", async () => {
  await up();
  await run(database.url, "update cams.migrations set sha256 = 'other' where name = '0001_schema'");
  await expect(up()).rejects.toThrow("migrations were edited after they were applied: 0001_schema");
});

test("a UUIDv7 made here carries the database's time and its version", async () => {
  await up();
  const { rows } = await run(
    database.url,
    `select id::text, cams.uuid7_time(id) = '2026-11-21 10:00:00.123+00' as same
     from (select cams.uuid7('2026-11-21 10:00:00.123+00') as id) made`,
  );
  expect(rows[0].same).toBe(true);
  expect(rows[0].id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
