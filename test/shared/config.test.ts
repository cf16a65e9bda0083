import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ConfigError, environment, readConfig, targetOf } from "../../shared/config.ts";

const url = { DATABASE_URL: "postgresql://a:b@127.0.0.1:5432/cams" };

test("what is not set, or set to nothing, has its default", () => {
  expect(readConfig({ ...url, LOG_LEVEL: "" })).toMatchObject({
    LOG_LEVEL: "INFO",
    DB_POOL_SIZE: 8,
    AUTH_MODE: "oidc",
    RETENTION_DAYS: 30,
  });
});

test("is frozen", () => {
  expect(Object.isFrozen(readConfig(url))).toBe(true);
});

test.each([
  [{}, "DATABASE_URL or INSTANCE_CONNECTION_NAME must be set"],
  [{ ...url, INSTANCE_CONNECTION_NAME: "p:r:i", DB_USER: "u" }, "exclude each other"],
  [{ INSTANCE_CONNECTION_NAME: "p:r:i" }, "DB_USER must be set"],
  [{ INSTANCE_CONNECTION_NAME: "instance", DB_USER: "u" }, "must be project:region:instance"],
  [{ DATABASE_URL: "mysql://x" }, "DATABASE_URL: "],
  [{ ...url, K_SERVICE: "cams", AUTH_MODE: "none" }, "AUTH_MODE: none is refused on Cloud Run"],
  [{ ...url, DB_POOL_SIZE: "0" }, "DB_POOL_SIZE: "],
  [{ ...url, RETENTION_DAYS: "0" }, "RETENTION_DAYS: "],
  [{ ...url, RETENTION_DAYS: "3651" }, "RETENTION_DAYS: "],
  [{ ...url, AUTH_MODE: "nobody" }, "AUTH_MODE: "],
  [{ ...url, AUTH_ISSUERS: "https://a", AUTH_AUDIENCES: " , " }, "AUTH_AUDIENCES must be set"],
  [{ ...url, AUTH_ISSUERS: "http://127.0.0.1:80@evil.example", AUTH_AUDIENCES: "a" }, "AUTH_ISSUERS: "],
  [{ ...url, AUTH_ISSUERS: "https://user:password@a", AUTH_AUDIENCES: "a" }, "AUTH_ISSUERS: "],
  [{ ...url, AUTH_ISSUERS: "http://issuer.example", AUTH_AUDIENCES: "a" }, "AUTH_ISSUERS: must be https"],
  [{ ...url, AUTH_ISSUERS: "https://issuer.example/|x", AUTH_AUDIENCES: "a" }, "AUTH_ISSUERS: must be https"],
  [{ ...url, AUTH_ISSUERS: "https://localhost/,http://localhost/=https://x", AUTH_AUDIENCES: "a" }, "each issuer once"],
  [{ ...url, DATABASE_GRANTS: "a=cams_agent,b=cams_migrator" }, "DATABASE_GRANTS: entry 2 must be user=role"],
  [{ ...url, DATABASE_GRANTS: "a=cams_agents,cams_agent" }, /entry 1 must be .*entry 2 must be /],
  [{ ...url, DATABASE_GRANTS: "cams_agent=cams_system" }, "entry 1 must be user=role, the role one of cams_reader, "],
])("%j is refused: %s", (env, message) => {
  expect(() => readConfig(env as Record<string, string>)).toThrow(ConfigError);
  expect(() => readConfig(env as Record<string, string>)).toThrow(message);
});

test("all faults are named together, and no value is repeated", () => {
  const env = { ...url, LOG_LEVEL: "secret-1", DB_POOL_SIZE: "secret-2" };
  expect(() => readConfig(env)).toThrow(/DB_POOL_SIZE: .*LOG_LEVEL: /);
  expect(() => readConfig(env)).not.toThrow(/secret/);
});

test("database users are read with their roles, whatever is in their names", () => {
  expect(readConfig(url).DATABASE_GRANTS).toBeUndefined();
  expect(
    readConfig({ ...url, DATABASE_GRANTS: "a@p.iam=cams_agent, a@p.iam = cams_reader,,x=y=cams_system" }),
  ).toMatchObject({
    DATABASE_GRANTS: [
      { user: "a@p.iam", role: "cams_agent" },
      { user: "a@p.iam", role: "cams_reader" },
      { user: "x=y", role: "cams_system" },
    ],
  });
});

test.each([
  [["node", "ff", "--target=inboxes-get"], {}, "inboxes-get"],
  [["node", "ff", "--target", "inboxes-get"], {}, "inboxes-get"],
  [["node", "ff"], { FUNCTION_TARGET: "cams" }, "cams"],
  [["node", "ff"], {}, undefined],
])("the target of %j with %j is %s", (argv, env, target) => {
  expect(targetOf(argv, env as Record<string, string>)).toBe(target);
});

test("every key is described, and stands in docs/configuration.md", () => {
  const table = readFileSync("docs/configuration.md", "utf8");
  for (const [name, schema] of Object.entries(environment.shape)) {
    expect(schema.description, name).toBeTruthy();
    expect(table).toContain(`| \`${name}\` |`);
  }
});
