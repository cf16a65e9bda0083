import fc from "fast-check";
import pg from "pg";
import compare from "semver/functions/compare.js";
import { describe, expect, test } from "vitest";
import { makerFor } from "../../support/make.ts";
import { useService } from "../../support/service.ts";

const service = useService();
const make = makerFor(service);

/** As an operator's function does, or somebody in psql under that role. */
async function asOperator(text: string): Promise<string> {
  const client = new pg.Client(service.databaseUrl);
  await client.connect();
  try {
    await client.query("set role cams_operator");
    const { rowCount } = await client.query(text);
    return `${rowCount} row`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

describe("past the service, under the operator's role", () => {
  const echo = { metadata: { id: "echo" } };

  test.each<[string, string]>([
    ["its document", `update cams.definition_versions set document = jsonb_set(document, '{goal}', '{}')`],
    ["its hash", "update cams.definition_versions set content_hash = repeat('0', 64)"],
    ["its number", "update cams.definition_versions set version = '1.0.1'"],
    ["when it was published", "update cams.definition_versions set published_at = now() - interval '1 day'"],
    ["who published it", "update cams.definition_versions set published_by = 'somebody else'"],
    ["when it was made", "update cams.definition_versions set created_at = now()"],
    ["who made it", "update cams.definition_versions set created_by = 'somebody else'"],
    ["where it came from", "update cams.definition_versions set source = 'yaml'"],
    ["its lock", `update cams.definition_versions set member_lock = '[]'`],
    [
      "that it is published",
      "update cams.definition_versions set status = 'DRAFT', published_at = null, published_by = null",
    ],
    ["that it is there", "delete from cams.definition_versions"],
  ])("nobody changes of a published version %s", async (_, text) => {
    await make.published(echo);
    const before = await service.sql("select * from cams.definition_versions");
    expect(await asOperator(text)).toBe("version 1.0.0 of echo was published: it never changes");
    expect(await service.sql("select * from cams.definition_versions")).toEqual(before);
  });

  test("nor of a deprecated one, nor that it is", async () => {
    await make.published(echo);
    await make.published({ metadata: { id: "echo", version: "2.0.0" } });
    await service.post("/v1/definitions/echo/versions/1.0.0/deprecate", {});
    const where = "where version = '1.0.0'";
    const refused = "version 1.0.0 of echo was published: it never changes";
    for (const change of [
      "content_hash = repeat('0', 64)",
      "status = 'PUBLISHED', deprecated_at = null, deprecated_by = null",
      "deprecated_by = 'somebody else'",
    ])
      expect(await asOperator(`update cams.definition_versions set ${change} ${where}`), change).toBe(refused);
  });

  test("a draft may change, and only within what a version is", async () => {
    await make.definition(echo);
    expect(await asOperator("update cams.definition_versions set content_hash = repeat('0', 64)")).toBe("1 row");
    for (const [change, constraint] of [
      ["status = 'DEPRECATED'", "definition_versions_deprecated"],
      ["status = 'PUBLISHED'", "definition_versions_published"],
      ["status = 'GONE', published_at = now(), published_by = 'x'", "definition_versions_status"],
      ["version = '2.0.0'", "definition_versions_document"],
      ["content_hash = 'x'", "definition_versions_hash"],
      ["member_lock = '[]'", "definition_versions_lock"],
      ["source = 'psql'", "definition_versions_source"],
    ])
      expect(await asOperator(`update cams.definition_versions set ${change}`), change).toContain(constraint);
  });

  test("what is current is published, and stays so", async () => {
    await make.definition(echo);
    const makeCurrent = "update cams.definitions set current_version = '1.0.0', current_source = 'api'";
    expect(await asOperator(makeCurrent)).toContain("definitions_current");
    await service.post("/v1/definitions/echo/versions/1.0.0/publish", {});
    expect(
      await asOperator(
        "update cams.definition_versions set status = 'DEPRECATED', deprecated_at = now(), deprecated_by = 'x'",
      ),
    ).toContain("definitions_current");
    expect(await asOperator("update cams.definitions set retired_at = now()")).toContain(
      "definitions_retired_has_no_current",
    );
    for (const [change, constraint] of [
      ["current_source = null", "definitions_current_has_source"],
      ["highest_version = '9.9.9'", "definitions_highest"],
    ])
      expect(await asOperator(`update cams.definitions set ${change}`), change).toContain(constraint);
    expect(await asOperator("delete from cams.definitions")).toContain("violates foreign key constraint");
    expect(await asOperator("truncate cams.definition_versions")).toContain("permission denied");
  });
});

describe("triggers of the current version", () => {
  const subscriptions = () =>
    service.sql<{ told: string }>(
      `select concat_ws(' ', definition_id, from_version, event_type, priority, filters, owner_team) as told
       from cams.subscriptions order by event_type`,
    );
  const withTriggers = (version: string, ...triggers: object[]) =>
    make.document({ metadata: { id: "echo", version, ownerTeam: "sales" }, triggers });
  const told = async () => (await subscriptions()).map(({ told }) => told);

  test("are subscriptions from the moment it is current, and those of the one before are gone", async () => {
    await make.definition(
      withTriggers(
        "1.0.0",
        { eventType: "alert.*", priority: "CRITICAL", filters: { a: [1] } },
        { eventType: "build.#" },
      ),
    );
    expect(await told()).toEqual([]);
    await service.post("/v1/definitions/echo/versions/1.0.0/publish", {});
    expect(await told()).toEqual(['echo 1.0.0 alert.* 1 {"a": [1]} sales', "echo 1.0.0 build.# 3 sales"]);
    await make.definition(withTriggers("2.0.0", { eventType: "task.done", priority: "LOW" }));
    await service.post("/v1/definitions/echo/versions/2.0.0/publish?activate=false", {});
    expect(await told()).toHaveLength(2);
    await service.post("/v1/definitions/echo/versions/2.0.0/activate", {});
    expect(await told()).toEqual(["echo 2.0.0 task.done 4 sales"]);
    const { items } = (await service.get("/v1/audit?resourceType=subscription")).body;
    expect(items.map(({ action }: { action: string }) => action).toSorted()).toEqual([
      ...Array(3).fill("created"),
      ...Array(2).fill("deleted"),
    ]);
    await service.post("/v1/definitions/echo/versions/1.0.0/activate", {});
    expect(await told()).toHaveLength(2);
    await service.delete("/v1/definitions/echo");
    expect(await told()).toEqual([]);
  });

  test.each([
    ["subscriptions_target", "null, null, null"],
    ["subscriptions_target", "'echo', null, 'a@corp.example'"],
    ["subscriptions_trigger", "null, '1.0.0', 'a@corp.example'"],
    ["subscriptions_version", "'echo', '9.9.9', null"],
  ])("lead to one thing that there is: %s", async (constraint, target) => {
    await make.published(withTriggers("1.0.0"));
    await make.inbox({ aiAgentAddress: "a@corp.example" });
    const insert = `insert into cams.subscriptions
      (event_type, priority, created_at, created_by, definition_id, from_version, ai_agent_address)
      values ('mine', 3, now(), 'me', ${target})`;
    expect(await asOperator(insert)).toContain(constraint);
  });

  test("leave subscriptions that somebody made alone", async () => {
    await make.published(withTriggers("1.0.0", { eventType: "alert.*" }));
    await service.sql(
      `insert into cams.subscriptions (event_type, priority, definition_id, created_at, created_by)
       values ('mine', 3, 'echo', now(), 'me')`,
    );
    await make.published(withTriggers("2.0.0"));
    expect(await told()).toEqual(["echo mine 3"]);
  });
});

test("versions are ordered in the database as Semantic Versioning orders them", async () => {
  const number = fc.oneof(fc.nat(20), fc.nat(), fc.constant(999_999_999_999_999)).map(String);
  const word = fc.oneof(number, fc.stringMatching(/^[0-9A-Za-z-]{0,3}[A-Za-z-][0-9A-Za-z-]{0,3}$/));
  const version = fc
    .tuple(number, number, number, fc.array(word, { maxLength: 4 }))
    .map(
      ([major, minor, patch, words]) => `${major}.${minor}.${patch}${words.length > 0 ? `-${words.join(".")}` : ""}`,
    );
  const pairs = fc
    .sample(fc.tuple(version, version), { numRuns: 3000, seed: 20_261_121 })
    .concat(
      fc.sample(
        fc.tuple(
          fc.constantFrom("1.0.0", "1.0.0-a", "1.0.0-a.1", "1.0.0-a.b", "1.0.0-1", "1.0.0-2", "1.0.0-a-"),
          fc.constantFrom("1.0.0", "1.0.0-a", "1.0.0-a.1", "1.0.0-a.b.c", "1.0.0-10", "1.0.0-aa"),
        ),
        200,
      ),
    );
  const rows = await service.sql<{ a: string; b: string; sign: number }>(
    `select a, b, case when cams.version_order(a) collate "C" < cams.version_order(b) collate "C" then -1
       when cams.version_order(a) = cams.version_order(b) then 0 else 1 end as sign
     from jsonb_to_recordset($1) as r (a text, b text)`,
    [JSON.stringify(pairs.map(([a, b]) => ({ a, b })))],
  );
  expect(rows.filter(({ a, b, sign }) => sign !== compare(a, b))).toEqual([]);
});
