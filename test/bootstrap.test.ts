import { readFile } from "node:fs/promises";
import pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { describeSchema } from "../scripts/describe-schema.ts";
import type { Grant } from "../shared/db/grants.ts";
import { migrate, SchemaError } from "../shared/db/migrate.ts";
import { DATABASE_ROLES } from "../shared/rules/access.ts";
import { databaseUrl, run } from "./support/global-setup.ts";
import { makerFor } from "./support/make.ts";
import { usePostgres } from "./support/postgres.ts";
import { startService } from "./support/service.ts";

const MIGRATOR = "cams-migrator@p.iam";
const USERS = ["reader", "agent", "operator", "system"].map((name) => `cams-${name}@p.iam`);
const STRANGERS = ["stranger@p.iam", "friend@p.iam"];
const GRANTS = USERS.map((user) => ({ user, role: user.replace(/-(\w+)@.*/, "_$1") }) as Grant);
const inWords = (grants: readonly Grant[]) => grants.map(({ user, role }) => `${user}=${role}`).toSorted();
const DATABASE_GRANTS = inWords(GRANTS).join(",");

// As Cloud SQL gives it: whoever is connected, nobody is a superuser.
const server = usePostgres();

let databases: string[] = [];
beforeEach(async () => {
  for (const name of databases) await run(server.url, `drop database ${name} with (force)`);
  databases = [];
  const users = [MIGRATOR, ...USERS, ...STRANGERS];
  const roles = [...DATABASE_ROLES, "cloudsqlsuperuser", "deployer", ...users];
  await run(
    server.url,
    [
      ...roles.map((role) => `drop role if exists "${role}"`),
      "create role cloudsqlsuperuser nologin createrole createdb",
      ...users.map((user) => `create role "${user}" login password 'secret'`),
      `grant cloudsqlsuperuser to "${MIGRATOR}"`,
    ].join("; "),
  );
  await databaseNamed("cams_first");
});

async function databaseNamed(name: string, owner = "cloudsqlsuperuser"): Promise<void> {
  await run(server.url, `create database ${name} owner ${owner}`);
  databases.push(name);
}

/** The database as a user sees it. */
function urlOf(user = MIGRATOR, name = "cams_first"): string {
  const url = new URL(databaseUrl(server.url, name));
  if (user !== "superuser") Object.assign(url, { username: user, password: "secret" });
  return url.href;
}

const up = (grants: readonly Grant[] = GRANTS, url = urlOf()) => migrate(new pg.Client(url), { grants });
const asSuperuser = (statement: string) => run(urlOf("superuser"), statement);
const serviceOf = (user: string, env: Record<string, string> = {}) =>
  startService(env, { url: urlOf(user), drop: async () => {} });

/** Who may take which role, by whom: everything the server notes of it. */
async function membershipsNow(): Promise<unknown[]> {
  const { rows } = await asSuperuser(
    `select roleid::regrole::text as role, member::regrole::text as member, grantor::regrole::text as grantor,
       to_jsonb(m) - '{oid,roleid,member,grantor}'::text[] as options
     from pg_auth_members m order by 1, 2, 3`,
  );
  return rows;
}

/** `user=role` for each user that may take a role. */
async function rightsNow(): Promise<string[]> {
  const { rows } = await asSuperuser(
    `select u.rolname || '=' || r.rolname as right from pg_roles u, pg_roles r
     where u.rolcanlogin and not u.rolsuper and r.rolname like 'cams\\_%'
       and pg_has_role(u.oid, r.oid, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end)
       and u.rolname <> '${MIGRATOR}' order by 1`,
  );
  return rows.map(({ right }) => right);
}

async function pictureNow(): Promise<string> {
  const client = new pg.Client(urlOf("superuser"));
  await client.connect();
  const picture = await describeSchema(client);
  await client.end();
  return picture;
}

test("one call of system-migrate makes everything from nothing, and every function serves as its own user", async () => {
  const migrator = await serviceOf(MIGRATOR, { DATABASE_GRANTS });
  for (const path of ["/health/ready", "/v1/agent-inboxes/a"])
    expect(await migrator.get(path), path).toMatchObject({ status: 503, body: { code: "schema_outdated" } });
  const { status, body } = await migrator.post("/v1/system/migrate");
  expect(status).toBe(200);
  expect(body).toMatchObject({ granted: inWords(GRANTS), revoked: [] });
  expect(body.partitionsMade).toBeGreaterThan(0);
  expect(await pictureNow()).toBe(await readFile("migrations/schema.sql", "utf8"));
  await migrator.close();

  const calls: Record<string, (service: Awaited<ReturnType<typeof serviceOf>>) => Promise<{ status: number }>> = {
    reader: (service) => service.get("/health/ready"),
    agent: (service) => service.get("/v1/agent-inboxes"),
    operator: (service) => service.get("/v1/audit"),
    system: (service) => service.post("/v1/system/retention"),
  };
  for (const user of USERS) {
    const service = await serviceOf(user);
    for (const [name, call] of Object.entries(calls))
      expect((await call(service)).status, `${user} as ${name}`).toBe(user.includes(`-${name}@`) ? 200 : 503);
    await expect(up(GRANTS, urlOf(user))).rejects.toThrow("cannot migrate: it is not a member of");
    await service.close();
  }
  const { rows } = await asSuperuser(
    "select from pg_authid where rolname like 'cams\\_%' and (rolpassword is not null or rolcanlogin or rolsuper)",
  );
  expect(rows).toEqual([]);
});

test("a second bootstrap changes nothing", async () => {
  const { applied } = await up();
  const before = [await membershipsNow(), await pictureNow()];
  expect(await up()).toEqual({ applied: [], version: applied.at(-1), granted: [], revoked: [] });
  expect([await membershipsNow(), await pictureNow()]).toEqual(before);
});

test("two at once make and grant everything once", async () => {
  const results = await Promise.all([up(), up()]);
  expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
  expect(results.flatMap(({ granted }) => granted)).toEqual(inWords(GRANTS));
});

test("databases of one server are set up at once, although they share roles and rights", async () => {
  const names = ["cams_second", "cams_third"];
  for (const name of names) await databaseNamed(name);
  await asSuperuser(`create role cams_agent; grant cams_agent to cloudsqlsuperuser with admin option`);
  await run(urlOf(), `set role cloudsqlsuperuser; grant cams_agent to "stranger@p.iam"`);
  await Promise.all(["cams_first", ...names].map((name) => up(GRANTS, urlOf(MIGRATOR, name))));
  expect(await rightsNow()).toEqual(inWords(GRANTS));
});

test("what is revoked for another database at the same time does not stop it, whoever has to give way", async () => {
  await up([{ user: "friend@p.iam", role: "cams_agent" }, { user: "stranger@p.iam", role: "cams_system" }, ...GRANTS]);
  const other = new pg.Client(urlOf("superuser"));
  await other.connect();
  // Of two that wait for each other, the one with more patience goes on.
  await other.query("begin; set deadlock_timeout = '1min'; set role cloudsqlsuperuser");
  await other.query(`revoke cams_system from "stranger@p.iam"`);
  const settled = up();
  const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and query like 'revoke %'";
  await expect.poll(async () => (await asSuperuser(waiting)).rows.length, { timeout: 20_000 }).toBe(1);
  await other.query(`revoke cams_agent from "friend@p.iam"`);
  await other.query("commit");
  await other.end();
  await settled;
  expect(await rightsNow()).toEqual(inWords(GRANTS));
});

test("the schema goes down to nothing and up again, its rows stay when it goes on, and rights are left alone on the way", async () => {
  const { applied } = await up();
  await migrate(new pg.Client(urlOf()), { to: 0 });
  expect(await rightsNow()).toEqual(inWords(GRANTS));
  expect(await up()).toMatchObject({ applied, granted: [], revoked: [] });
  const agent = await serviceOf("cams-agent@p.iam");
  const { aiAgentAddress } = await makerFor(agent).inbox();
  await migrate(new pg.Client(urlOf()), { grants: [], to: applied.length - 1 });
  expect(await up()).toMatchObject({ applied: applied.slice(-1), granted: [], revoked: [] });
  expect((await agent.get(`/v1/agent-inboxes/${aiAgentAddress}`)).status).toBe(200);
  await agent.close();
});

describe("rights", () => {
  test("follow what is named: who is no longer loses its role, who is now gets it, also a second one", async () => {
    await up();
    const [agent, ...others] = GRANTS.filter(({ role }) => role !== "cams_reader");
    const added: Grant = { user: "friend@p.iam", role: "cams_agent" };
    const second: Grant = { user: "friend@p.iam", role: "cams_reader" };
    expect(await up([added, second, ...others])).toMatchObject({
      granted: inWords([added, second]),
      revoked: inWords([agent as Grant, { user: "cams-reader@p.iam", role: "cams_reader" }]),
    });
    expect(await rightsNow()).toEqual(inWords([added, second, ...others]));
    expect(await migrate(new pg.Client(urlOf()))).toMatchObject({ granted: [], revoked: [] });
  });

  test("given by hand are taken back, with what was made of them, and only where rights are named at all", async () => {
    await up();
    await run(
      urlOf(),
      `set role cloudsqlsuperuser;
       grant cams_operator to "stranger@p.iam";
       grant cams_system to "stranger@p.iam" with admin true, inherit false, set false;
       grant cams_agent to "cams-agent@p.iam", "stranger@p.iam" with admin option;
       grant cams_migrator to "friend@p.iam", cams_agent`,
    );
    await run(urlOf("stranger@p.iam"), `grant cams_agent to "friend@p.iam"`);
    const given = await rightsNow();
    expect(await migrate(new pg.Client(urlOf()))).toMatchObject({ granted: [], revoked: [] });
    expect(await rightsNow()).toEqual(given);
    const { granted, revoked } = await up();
    expect(revoked).toEqual([
      "cams-agent@p.iam=cams_agent",
      "friend@p.iam=cams_agent",
      "stranger@p.iam=cams_agent",
      "cams_agent=cams_migrator",
      "friend@p.iam=cams_migrator",
      "stranger@p.iam=cams_operator",
      "stranger@p.iam=cams_system",
    ]);
    expect(granted).toEqual(["cams-agent@p.iam=cams_agent"]);
    expect(await rightsNow()).toEqual(inWords(GRANTS));
    await expect(run(urlOf("cams-agent@p.iam"), `grant cams_agent to "friend@p.iam"`)).rejects.toMatchObject({
      code: "42501",
    });
  });

  test("that the migrator may not take back are named in one clear line, and none has changed", async () => {
    await up();
    await asSuperuser(`grant cams_operator to "stranger@p.iam"`);
    const before = await membershipsNow();
    const line = new RegExp(
      `^${MIGRATOR} cannot revoke cams_operator from "stranger@p.iam" granted by .*: permission `,
    );
    const refused = up(GRANTS.slice(1)).catch((error) => error);
    expect(await refused).toBeInstanceOf(SchemaError);
    expect((await refused).message).toMatch(line);
    expect(await membershipsNow()).toEqual(before);
  });

  test("of who made the roles, as the server notes them, do not stand in the way", async () => {
    await run(server.url, "create role deployer login createrole password 'secret'");
    await databaseNamed("cams_deployed", "deployer");
    await migrate(new pg.Client(urlOf("deployer", "cams_deployed")));
    const superuser = urlOf("superuser", "cams_deployed");
    const { revoked } = await up(GRANTS, superuser);
    expect(revoked).toEqual(DATABASE_ROLES.map((role) => `deployer=${role}`).toSorted());
    expect(await rightsNow()).toEqual(inWords(GRANTS));
    expect(await up(GRANTS, superuser)).toMatchObject({ granted: [], revoked: [] });
    // Nobody but a superuser could take those back.
    const noted = await asSuperuser("select from pg_auth_members where member = 'deployer'::regrole and admin_option");
    expect(noted.rows).toHaveLength(DATABASE_ROLES.length);
    await asSuperuser(`grant ${DATABASE_ROLES} to cloudsqlsuperuser with admin option`);
    expect(await up()).toMatchObject({ granted: [], revoked: [] });
  });
});

describe("in one clear line it is told", () => {
  test("which of the users named are missing, before anything is made", async () => {
    const missing: Grant[] = ["nobody@p.iam", "a; drop role", "nobody@p.iam"].map((user) => ({
      user,
      role: "cams_agent",
    }));
    const line = "DATABASE_GRANTS names users that the database does not have: a; drop role, nobody@p.iam";
    await expect(up([...missing, ...GRANTS])).rejects.toThrow(new SchemaError(line));
    expect((await asSuperuser("select from pg_roles where rolname like 'cams\\_%'")).rows).toEqual([]);
  });

  test("that the user is not one of Cloud SQL's administrators", async () => {
    const line = `the database roles ${DATABASE_ROLES.join(", ")} are missing, and stranger@p.iam cannot make them without the role cloudsqlsuperuser`;
    await expect(up(GRANTS, urlOf("stranger@p.iam"))).rejects.toThrow(new SchemaError(line));
    await up();
    await run(server.url, `revoke cloudsqlsuperuser from "${MIGRATOR}"`);
    expect(await up()).toMatchObject({ granted: [], revoked: [] });
    await expect(up([...GRANTS, { user: "friend@p.iam", role: "cams_agent" }])).rejects.toThrow(
      `${MIGRATOR} cannot grant cams_agent to "friend@p.iam": `,
    );
  });
});

test("unready, with no other answer than 503, for want of roles, of the schema, and of the right to its role", async () => {
  const reader = await serviceOf("cams-reader@p.iam");
  const expectOutdated = async (why: string) => {
    for (const path of ["/health/ready", "/v1/agent-inboxes"]) {
      const { status, body, headers } = await reader.get(path);
      expect([status, body.code, headers.get("retry-after")], `${why}: ${path}`).toEqual([503, "schema_outdated", "5"]);
    }
  };
  await expectOutdated("no roles");
  await databaseNamed("cams_second");
  await up([...GRANTS, { user: "cams-reader@p.iam", role: "cams_agent" }], urlOf(MIGRATOR, "cams_second"));
  await expectOutdated("roles, but no schema");
  await up([]);
  await expectOutdated("schema, but no right");
  await up();
  expect(await reader.get("/health/ready")).toMatchObject({ status: 200, body: { status: "ready" } });
  await reader.close();
});
