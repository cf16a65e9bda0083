import { describe, expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { makerFor } from "../support/make.ts";
import { allPages } from "./calls.ts";
import { definitionCalls } from "./definition-calls.ts";

const guarded = useGuardedService();
const { service } = guarded;
const make = makerFor(service);
const { at, get, patch, decide, ...calls } = definitionCalls(service);

const agent = (version = "1.0.0", fields: object = {}) =>
  make.document({ metadata: { id: "echo", version }, ...fields });
const historyOf = async (id = "echo") => (await get(id, "/history")).body.items;

test("says who did what by which way, when and why, with before and after in full", async () => {
  const operator = guarded.key("operator");
  await service.post("/v1/definitions", agent(), { ...operator, "x-request-id": "req-1" });
  await service.post(at("echo", "/versions/1.0.0/publish"), { reason: "reviewed" }, operator);
  await patch("echo", { config: { timeoutSeconds: 60 } }, "?publish=true&reason=too%20slow", operator);
  const history = await historyOf();
  const told = history.map((change: Record<string, string>) =>
    ["action", "version", "actor", "source", "reason"].map((field) => change[field] ?? "-").join(" "),
  );
  expect(told).toEqual([
    "activated 1.0.1 operator api too slow",
    "version_published 1.0.1 operator api too slow",
    "activated 1.0.0 operator api reviewed",
    "version_published 1.0.0 operator api reviewed",
    "version_created 1.0.0 operator api -",
    "created - operator api -",
  ]);
  const [activated] = history;
  expect(activated.changed).toEqual(
    expect.arrayContaining(["/currentVersion", "/document/config/timeoutSeconds", "/document/metadata/version"]),
  );
  expect(activated.before.document.config.timeoutSeconds).toBe(3600);
  expect(activated.after.document).toEqual((await get("echo")).body.document);
  expect(history.at(-1).requestId).toBe("req-1");
});

test("tells drafts that were replaced or deleted, deprecations and the end", async () => {
  await make.published(agent());
  await make.definition(agent("1.1.0"));
  await make.definition(agent("1.1.0", { skills: ["a"] }));
  await service.delete(at("echo", "/versions/1.1.0?reason=a%20mistake"));
  await make.published(agent("2.0.0"));
  await decide("echo", "1.0.0", "deprecate", { reason: "old" });
  await service.delete(at("echo", "?reason=replaced"));
  const history = await historyOf();
  const [retired, deprecated] = history;
  const replaced = history.find(({ action }: { action: string }) => action === "version_replaced");
  const deleted = history.find(({ action }: { action: string }) => action === "version_deleted");
  expect(retired).toMatchObject({ action: "retired", reason: "replaced", before: { currentVersion: "2.0.0" } });
  expect(retired.after).not.toHaveProperty("currentVersion");
  // What was told of one decision is not told of the next.
  expect(history.find(({ version }: { version: string }) => version === "2.0.0")).not.toHaveProperty("reason");
  expect(deprecated).toMatchObject({ action: "version_deprecated", version: "1.0.0", reason: "old" });
  expect(deprecated.changed.toSorted()).toEqual(["/deprecatedAt", "/deprecatedBy", "/status"]);
  expect(replaced.changed.toSorted()).toEqual(["/contentHash", "/document/skills/0"]);
  expect(deleted.before).not.toHaveProperty("versionOrder");
  expect(deleted).toMatchObject({ version: "1.1.0", reason: "a mistake", before: { document: { skills: ["a"] } } });
});

test.each([
  ["yaml", "?publish=true"],
  ["loader", "?publish=true&source=loader"],
])("names %s as the source of an import", async (source, query) => {
  await calls.import([agent()], query);
  expect((await historyOf()).map((change: { source: string }) => change.source)).toEqual([source, source]);
});

test("names sql and the database's user for what was done past the service", async () => {
  await make.published(agent());
  await make.published(agent("2.0.0"));
  await service.sql("update cams.definitions set current_version = '1.0.0'");
  expect((await historyOf())[0]).toMatchObject({ action: "activated", version: "1.0.0", source: "sql" });
});

test("comes page by page", async () => {
  for (let n = 0; n < 5; n++) await make.published(agent(`1.${n}.0`));
  const all = await historyOf();
  expect(await allPages(service, at("echo", "/history?pageSize=4"))).toEqual(all);
  expect(all).toHaveLength(16);
});

test("has fewer entries on a page when their documents are large, and none is left out", async () => {
  const large = (n: number) => ({ settings: { text: `${n}${"x".repeat(900_000)}` } });
  await make.published(agent("1.0.0", large(0)));
  for (let n = 1; n < 6; n++) await patch("echo", large(n), "?publish=true");
  let pages = 0;
  const seen = await allPages(service, at("echo", "/history?pageSize=1000"), async () => ++pages);
  expect(pages).toBeGreaterThan(1);
  expect(seen).toHaveLength(14);
});

test("outlives a draft that was all there was, in the audit", async () => {
  await make.definition(agent());
  await service.delete(at("echo", "/versions/1.0.0"));
  expect((await historyOf()).map(({ action }: { action: string }) => action)).toEqual([
    "deleted",
    "version_deleted",
    "version_created",
    "created",
  ]);
});

describe("an operator", () => {
  test("makes definitions of its own team, and decides over those alone", async () => {
    const operator = guarded.key("operator");
    const own = make.document({ metadata: { ownerTeam: undefined } });
    expect((await service.post("/v1/definitions", own, operator)).body.ownerTeam).toBe("sales");
    const other = make.document({ metadata: { ownerTeam: "elsewhere" } });
    expect((await service.post("/v1/definitions", other, operator)).status).toBe(403);
    await service.post("/v1/definitions", other);
    for (const verb of ["publish", "activate", "deprecate"])
      expect((await service.post(at(other.metadata.id, `/versions/1.0.0/${verb}`), {}, operator)).status).toBe(403);
    expect((await patch(other.metadata.id, { skills: ["a"] }, "", operator)).status).toBe(403);
    expect((await service.delete(at(other.metadata.id), operator)).status).toBe(403);
    expect((await service.delete(at(other.metadata.id, "/versions/1.0.0"), operator)).status).toBe(403);
  });

  test("does not give one away, and an administrator does", async () => {
    await make.published(agent());
    const given = { metadata: { ownerTeam: "elsewhere" } };
    expect((await patch("echo", given, "", guarded.key("operator"))).status).toBe(403);
    expect((await patch("echo", given)).body.ownerTeam).toBe("elsewhere");
    expect((await patch("echo", { skills: ["a"] }, "", guarded.key("operator"))).status).toBe(403);
    expect((await patch("echo", { skills: ["a"] }, "", guarded.key("foreignOperator"))).status).toBe(201);
  });

  test("hands its triggers over with it, when it is given away", async () => {
    const document = make.document({ metadata: { ownerTeam: "sales" }, triggers: [{ eventType: "alert.*" }] });
    const { id } = await make.published(document);
    const metadata = { ...document.metadata, version: "1.1.0", ownerTeam: "elsewhere" };
    await make.definition({ ...document, metadata });
    const owners = "select owner_team, from_version from cams.subscriptions where definition_id = $1";
    expect(await service.sql(owners, [id])).toEqual([{ owner_team: "elsewhere", from_version: "1.0.0" }]);
  });

  test("publishes what it was given, whomever the draft names, and it stays its own", async () => {
    for (const version of ["1.0.0", "1.1.0"]) await make.definition(agent(version));
    const given = { metadata: { id: "echo", ownerTeam: "elsewhere" } };
    expect((await make.definition(given)).ownerTeam).toBe("elsewhere");
    const publish = at("echo", "/versions/1.1.0/publish");
    expect((await service.post(publish, {}, guarded.key("foreignOperator"))).body).toMatchObject({
      status: "PUBLISHED",
      ownerTeam: "elsewhere",
    });
  });

  test.each<[string, string, object]>([
    ["a new version", "2.0.0", {}],
    ["a new version that names its owner", "2.0.0", { ownerTeam: "elsewhere" }],
    ["a draft's content", "1.0.0", { name: "Another" }],
    ["what is there already", "1.0.0", { ownerTeam: "elsewhere" }],
  ])("brings to another team's definition nothing: %s", async (_, version, metadata) => {
    await make.definition({ metadata: { id: "echo", ownerTeam: "elsewhere" } });
    const document = make.document({ metadata: { id: "echo", version, ownerTeam: undefined, ...metadata } });
    const operator = guarded.key("operator");
    expect((await service.post("/v1/definitions", document, operator)).status).toBe(403);
    expect((await calls.import([document], "", operator)).body.results[0].problem.code).toBe("forbidden");
  });

  test("without a team makes what belongs to the administrators", async () => {
    const { principalId } = await make.principal({ role: "operator" });
    const { key } = await make.key(principalId);
    const body = make.document({ metadata: { id: "ours", ownerTeam: undefined } });
    expect((await service.post("/v1/definitions", body, { "x-cams-key": key })).body).not.toHaveProperty("ownerTeam");
    expect((await patch("ours", { skills: ["a"] }, "", { "x-cams-key": key })).status).toBe(403);
  });

  test("finds its team's decisions in the audit, versions included", async () => {
    await make.published(agent());
    const { items } = (await service.get("/v1/audit?resourceId=echo", guarded.key("operator"))).body;
    expect(items.map(({ resourceType, action }: Record<string, string>) => `${resourceType} ${action}`)).toEqual([
      "definition updated",
      "definition_version published",
      "definition_version created",
      "definition created",
    ]);
    expect((await service.get("/v1/audit?resourceId=echo", guarded.key("foreignOperator"))).body.items).toEqual([]);
  });
});
