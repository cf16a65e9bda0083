import { randomUUID } from "node:crypto";
import { once } from "node:events";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../functions/index.ts";
import { readConfig } from "../shared/config.ts";
import { openConnections } from "../shared/db/pool.ts";
import { databaseRoleOf } from "../shared/http/endpoint.ts";
import { createLogger } from "../shared/logging/index.ts";
import { DATABASE_ROLES, type DatabaseRole } from "../shared/rules/access.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { makerFor } from "./support/make.ts";
import { startService } from "./support/service.ts";

/** What each role may do, in full: whatever is not here it may not. */
const GRANTED: Record<DatabaseRole, Record<string, string>> = {
  cams_reader: { "schema cams": "usage", migrations: "select (name)" },
  cams_agent: {
    "schema cams": "usage",
    agent_inboxes: "delete, insert, select, update",
    agent_metrics: "select",
    agent_transitions: "insert, select",
    agents: "delete, insert, select, update",
    api_keys: "select",
    definition_changes: "select",
    definition_costs: "insert, select, update",
    definition_versions: "select",
    definitions: "select",
    event_arrival: "usage",
    event_keys: "insert, select, update",
    events: "insert, select, update (messages), update (routed), update (tasks)",
    health_transitions: "insert, select",
    idempotency_keys: "insert, select, update",
    message_archive: "insert, select",
    message_arrival: "usage",
    message_keys: "insert, select, update",
    messages: "delete, insert, select, update",
    principals: "select",
    subscriptions:
      "delete, insert (ai_agent_address), insert (created_at), insert (created_by), insert (definition_id), insert (event_type), insert (filters), insert (owner_team), insert (priority), insert (subscription_id), select",
    task_archive: "insert, select, update (rated_at), update (rated_by), update (rating), update (rating_comment)",
    task_arrival: "usage",
    task_dependencies: "delete, insert, select",
    tasks: "delete, insert, select, update",
    webhook_secrets: "insert, select, update",
    "agent_metrics_between()": "execute",
    "agent_words()": "execute",
    "archive_task()": "execute",
    "event_patterns()": "execute",
    "hold_pools()": "execute",
    "iso()": "execute",
    "lock_message_line()": "execute",
    "month_cost()": "execute",
    "month_of()": "execute",
    "publish_from_cams()": "execute",
    "send_from_cams()": "execute",
    "spend()": "execute",
    "task_receipts()": "execute",
    "uuid7()": "execute",
    "uuid7_time()": "execute",
    "version_order()": "execute",
    "working_tasks()": "execute",
  },
  cams_operator: {
    "schema cams": "usage",
    agent_inboxes:
      "select, update (last_updated_timestamp), update (quarantine_reason), update (quarantined_at), update (quarantined_by), update (revision), update (status_reason), update (updated_by)",
    agents: "select",
    api_keys: "delete, insert, select",
    audit_head: "select",
    audit_log: "select",
    definition_changes: "select",
    definition_costs: "insert, select, update",
    definition_versions: "delete, insert, select, update",
    definitions: "delete, insert, select, update",
    event_arrival: "usage",
    event_keys: "insert, select, update",
    events: "insert, select, update (messages), update (routed), update (tasks)",
    health_transitions: "insert",
    idempotency_keys: "insert, select, update",
    message_archive: "delete, select, update (seq)",
    message_arrival: "usage",
    messages:
      "insert, select, update (attempt), update (attempts), update (available_at), update (last_attempt), update (lease_token), update (leased_at)",
    principals: "delete, insert, select, update",
    schedule_runs: "insert, select",
    schedules: "delete, insert, select, update",
    subscriptions: "delete, insert, select",
    task_archive: "insert, select",
    task_arrival: "usage",
    task_dependencies: "delete, select",
    tasks: "delete, insert, select, update",
    "archive_task()": "execute",
    "audit_hash()": "execute",
    "definition_words()": "execute",
    "event_patterns()": "execute",
    "hold_pools()": "execute",
    "iso()": "execute",
    "lock_message_line()": "execute",
    "month_cost()": "execute",
    "month_of()": "execute",
    "publish_from_cams()": "execute",
    "send_from_cams()": "execute",
    "spend()": "execute",
    "task_receipts()": "execute",
    "uuid7()": "execute",
    "uuid7_time()": "execute",
    "version_order()": "execute",
  },
  cams_system: {
    "schema cams": "usage",
    agent_inboxes: "select, update",
    agent_transitions: "delete, insert, select, update (transition_id)",
    agents:
      "select, update (revision), update (state), update (state_reason), update (updated_at), update (updated_by)",
    api_keys: "select",
    budget_notices: "insert, select",
    definition_costs: "insert, select, update",
    definition_versions: "select (config), select (definition_id), select (version)",
    definitions: "select, select (current_version), select (definition_id)",
    event_arrival: "usage",
    event_keys: "delete, insert, select, update",
    events: "delete, insert, select, update (messages), update (routed), update (tasks)",
    events_default: "delete, select, update (seq)",
    health_transitions: "delete, insert, select, update (transition_id)",
    idempotency_keys: "delete, select, update (kept_until)",
    message_archive: "insert, select",
    message_archive_default: "delete, select, update (seq)",
    message_arrival: "usage",
    message_keys: "delete, select, update (kept_until)",
    messages: "delete, insert, select, update",
    principals: "select",
    schedule_runs: "delete, insert, select, update (at)",
    schedules: "select, update (last_run_at), update (next_run_at)",
    subscriptions: "select",
    task_archive: "delete, insert, select, update (seq)",
    task_archive_default: "delete, select, update (seq)",
    task_arrival: "usage",
    task_dependencies: "delete, select",
    tasks: "delete, insert, select, update",
    webhook_secrets: "select, update",
    "archive_task()": "execute",
    "drop_partition()": "execute",
    "event_patterns()": "execute",
    "hold_pools()": "execute",
    "iso()": "execute",
    "lock_message_line()": "execute",
    "make_partitions()": "execute",
    "month_cost()": "execute",
    "month_of()": "execute",
    "publish_from_cams()": "execute",
    "old_partitions()": "execute",
    "partition_step()": "execute",
    "send_from_cams()": "execute",
    "spend()": "execute",
    "task_receipts()": "execute",
    "try_make_partitions()": "execute",
    "uuid7()": "execute",
    "uuid7_time()": "execute",
    "working_tasks()": "execute",
  },
  cams_migrator: {},
};

/** Everything in the schema, columns too, with its owner and what is granted on it. */
const OBJECTS = `
  select 'schema ' || nspname as name, nspowner::regrole::text as owner, null as "column",
    coalesce(nspacl, acldefault('n', nspowner)) as acl
  from pg_namespace where nspname = 'cams'
  union all
  select relname, relowner::regrole::text, null,
    coalesce(relacl, acldefault(case when relkind = 'S' then 's' else 'r' end::"char", relowner))
  from pg_class where relnamespace = 'cams'::regnamespace and relkind not in ('i', 'I', 'c')
  union all
  select relname, relowner::regrole::text, attname, attacl
  from pg_class c join pg_attribute a on a.attrelid = c.oid
  where relnamespace = 'cams'::regnamespace and attacl is not null
  union all
  select proname || '()', proowner::regrole::text, null, coalesce(proacl, acldefault('f', proowner))
  from pg_proc where pronamespace = 'cams'::regnamespace`;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  // The days that are made later, by the role that makes them.
  await run(
    database.url,
    `set role cams_system;
     select cams.make_partitions('message_archive', 30), cams.make_partitions('task_archive', 60), cams.make_partitions('events', 30)`,
  );
});
afterAll(() => database.drop());

const query = async (text: string) => (await run(database.url, text)).rows;

describe("what is granted", () => {
  test("is this and nothing else, whoever got it", async () => {
    const rows = await query(`
      select case when grantee = 0 then 'public' else grantee::regrole::text end as role, name,
        string_agg(privilege, ', ' order by privilege) as privileges
      from (
        select name, grantee, lower(privilege_type) || coalesce(' (' || "column" || ')', '')
          || case when is_grantable then ' with grant option' else '' end as privilege
        from (${OBJECTS}) object cross join lateral aclexplode(acl) g
        where grantee::regrole::text <> owner
      ) granted
      group by grantee, name`);
    const granted: Record<string, Record<string, string>> = Object.fromEntries(
      DATABASE_ROLES.map((role) => [role, {}]),
    );
    for (const { role, name, privileges } of rows) granted[role] = { ...granted[role], [name]: privileges };
    expect(granted).toEqual(GRANTED);
  });

  test("is on what belongs to cams_migrator: tables, sequences, functions, and the partitions made since", async () => {
    const rows = await query(`select owner, count(*)::int as objects from (${OBJECTS}) object group by owner`);
    expect(rows).toEqual([{ owner: "cams_migrator", objects: expect.any(Number) }]);
    expect(rows[0].objects).toBeGreaterThan(60);
  });

  test("is nothing on a table or a function that a migration makes without saying so", async () => {
    await query(
      "set role cams_migrator; create table cams.new_table (); create function cams.new_function() returns int return 1",
    );
    const rows = await query(`
      select role, has_table_privilege(role, 'cams.new_table', 'select, insert, update, delete') as on_table,
        has_function_privilege(role, 'cams.new_function()', 'execute') as on_function
      from unnest('{${DATABASE_ROLES}}'::text[]) role where role <> 'cams_migrator'`);
    for (const row of rows) expect(row).toMatchObject({ on_table: false, on_function: false });
    await query("drop table cams.new_table; drop function cams.new_function");
  });
});

test("no role can log in, is more than others, or is a member of another", async () => {
  const rows = await query(`
    select rolname, rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as more,
      exists (
        select from pg_auth_members where member = r.oid and roleid in (select oid from pg_roles where rolname like 'cams\\_%')
      ) as member, has_database_privilege(oid, current_database(), 'create') as schemas,
      has_schema_privilege(oid, 'cams', 'create') as tables
    from pg_roles r where rolname = any ('{${DATABASE_ROLES}}') order by rolname`);
  expect(rows).toEqual(
    DATABASE_ROLES.toSorted().map((rolname) => {
      return { rolname, more: false, member: false, schemas: false, tables: rolname === "cams_migrator" };
    }),
  );
});

test.each([
  ["cams_reader", "select from cams.messages"],
  ["cams_reader", "select sha256 from cams.migrations"],
  ["cams_reader", "select cams.uuid7(now())"],
  ["cams_agent", "delete from cams.health_transitions"],
  ["cams_agent", "update cams.message_archive set status = 'CANCELLED'"],
  ["cams_agent", "delete from cams.idempotency_keys"],
  ["cams_agent", "truncate cams.messages"],
  ["cams_agent", "select cams.drop_partition('message_archive', 'message_archive_20260101', 1)"],
  ["cams_agent", "select from cams.message_archive_default"],
  ["cams_agent", "alter table cams.agent_inboxes add column x text"],
  ["cams_agent", "set role cams_system"],
  ["cams_operator", "create table cams.own ()"],
  ["cams_operator", "create schema own"],
  ["cams_operator", "select from cams.webhook_secrets"],
  ["cams_operator", "update cams.agent_inboxes set admin_status = 'INACTIVE'"],
  ["cams_system", "insert into cams.agent_inboxes (ai_agent_address) values ('a')"],
  ["cams_agent", "update cams.agent_transitions set reason = 'x'"],
  ["cams_agent", "update cams.definitions set revision = 1"],
  ["cams_agent", "update cams.task_archive set state = 'COMPLETED'"],
  ["cams_agent", "select cams.drop_partition('task_archive', 'task_archive_202601', 1)"],
  ["cams_operator", "update cams.agents set state = 'FAILED'"],
  ["cams_operator", "insert into cams.agent_transitions (agent_id) values ('a')"],
  ["cams_operator", "update cams.messages set payload = '{}'"],
  ["cams_system", "update cams.agents set name = 'a'"],
  ["cams_system", "insert into cams.agents (agent_id) values ('a')"],
  ["cams_system", "delete from cams.webhook_secrets"],
  ["cams_agent", "insert into cams.principals (principal_id) values ('a')"],
  ["cams_agent", "update cams.principals set role = 'admin'"],
  ["cams_agent", "delete from cams.api_keys"],
  ["cams_agent", "select from cams.audit_log"],
  ["cams_operator", "update cams.api_keys set expires_at = null"],
  ["cams_operator", "delete from cams.audit_log"],
  ["cams_operator", "update cams.audit_head set sequence = 0"],
  ["cams_operator", "select cams.add_audit_entry('{}')"],
  ["cams_agent", "insert into cams.definitions (definition_id) values ('a')"],
  ["cams_agent", "update cams.definition_versions set status = 'DRAFT'"],
  ["cams_agent", "update cams.subscriptions set event_type = '#'"],
  ["cams_agent", "insert into cams.subscriptions (event_type, definition_id, from_version) values ('#', 'a', '1.0.0')"],
  ["cams_agent", "select from cams.schedules"],
  ["cams_agent", "insert into cams.schedules (name) values ('a')"],
  ["cams_agent", "insert into cams.schedule_runs (actor) values ('a')"],
  ["cams_agent", "delete from cams.events"],
  ["cams_agent", "update cams.events set data = '1'"],
  ["cams_agent", "delete from cams.event_keys"],
  ["cams_operator", "delete from cams.events"],
  ["cams_operator", "update cams.events set type = 'a'"],
  ["cams_operator", "delete from cams.event_keys"],
  ["cams_operator", "update cams.subscriptions set event_type = '#'"],
  ["cams_operator", "update cams.schedule_runs set actor = 'a'"],
  ["cams_operator", "delete from cams.schedule_runs"],
  ["cams_system", "update cams.schedules set event_type = 'a'"],
  ["cams_system", "delete from cams.schedules"],
  ["cams_system", "insert into cams.subscriptions (event_type) values ('#')"],
  ["cams_system", "update cams.events set data = '1'"],
  ["cams_operator", "truncate cams.definition_versions"],
  ["cams_system", "select from cams.definition_changes"],
  ["cams_system", "select from cams.migrations"],
  ["cams_migrator", "create table public.own ()"],
] as const)("%s is refused: %s", async (role, statement) => {
  const login = await loginOf(role);
  await expect(run(login.url, statement)).rejects.toMatchObject({ code: "42501" });
  await login.drop();
});

test("where the user of the database is a member of one role, its endpoints are served and no others", async () => {
  const login = await loginOf("cams_agent");
  const service = await startService({ DB_POOL_SIZE: "1" }, { url: login.url, drop: login.drop });
  const make = makerFor(service);
  const listener = new pg.Client(database.url);
  await listener.connect();
  await listener.query("listen cams_hints");
  const hinted = once(listener, "notification");
  const { recipientAddress } = await make.message({ orderingKey: "k" });
  expect(await hinted).toMatchObject([{ payload: expect.stringContaining(recipientAddress) }]);
  await listener.end();
  const [message] = await make.pull(recipientAddress);
  expect(
    (await service.post(`/v1/agent-inboxes/${recipientAddress}/messages/ack`, { leaseTokens: [message.leaseToken] }))
      .status,
  ).toBe(200);
  expect((await service.delete(`/v1/agent-inboxes/${recipientAddress}`)).status).toBe(204);
  const connections = await query(`select from pg_stat_activity where usename = '${new URL(login.url).username}'`);
  expect(connections, "one pool, for hints too").toHaveLength(1);
  for (const path of ["/metrics", "/health/ready"])
    expect(await service.get(path), path).toMatchObject({ status: 503, body: { code: "schema_outdated" } });
  expect((await service.post("/v1/system/retention")).status).toBe(503);
  expect((await service.get(`/v1/messages/${message.messageId}`)).body.status).toBe("ACKNOWLEDGED");
  await service.close();
  await login.drop();
});

test("a connection has its role whatever options the URL brings, and those too", async () => {
  const DATABASE_URL = `${database.url}?options=-c%20role%3Dnone%20-c%20work_mem%3D5MB`;
  const log = createLogger({ level: "ERROR", transport: "console", format: "json" });
  const connections = await openConnections(readConfig({ AUTH_MODE: "none", DATABASE_URL }), log);
  const asked =
    "select current_user as role, current_setting('work_mem') as memory, current_setting('DateStyle') as dates";
  for (const role of DATABASE_ROLES) {
    const { rows } = await connections.pool(role).query(asked);
    expect(rows).toEqual([{ role, memory: "5MB", dates: "ISO, MDY" }]);
  }
  await connections.close();
});

test("every endpoint has its database role, and only the one that migrates has the owner's", () => {
  const roles = endpoints.map((endpoint) => [endpoint.name, databaseRoleOf(endpoint)]);
  expect(roles.filter(([, role]) => role === "cams_migrator")).toEqual([["system-migrate", "cams_migrator"]]);
});

/** A user that is a member of one role and nothing more, as every function has in production. */
async function loginOf(role: DatabaseRole) {
  const name = `cams_login_${randomUUID().replaceAll("-", "")}`;
  await query(`create role ${name} login password 'secret' in role ${role}`);
  const url = new URL(database.url);
  url.username = name;
  url.password = "secret";
  return { url: url.href, drop: async () => void (await query(`drop role ${name}`)) };
}
