import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { allPages } from "./calls.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);

const { at, patch, decide, placesOf } = definitionCalls(service);

describe("a document", () => {
  test("is answered as it was given, with the defaults filled in and its fields in their order", async () => {
    const { body } = await service.post("/v1/definitions", {
      instructions: "Be kind.",
      kind: "Agent",
      model: { provider: "anthropic", id: "claude" },
      metadata: { version: "1.0.0", name: "Echo", id: "echo" },
    });
    expect(body).toMatchObject({ id: "echo", kind: "Agent", version: "1.0.0", status: "DRAFT", current: false });
    expect(body).toMatchObject({ source: "api", createdBy: "local", revision: 1 });
    const { body: read } = await service.get(at("echo", "?version=1.0.0"));
    expect(read).toEqual(body);
    expect(Object.keys(read.document).slice(0, 4)).toEqual(["kind", "metadata", "model", "instructions"]);
    expect(Object.keys(read.document.metadata)).toEqual(["id", "name", "version", "tags"]);
    expect(read.document.config).toEqual({
      maxParallelTasks: 3,
      approvalRequiredFor: [],
      autoRetry: true,
      feedbackCollection: true,
      timeoutSeconds: 3600,
      enabled: true,
    });
  });

  test("is refused with all its faults at once", async () => {
    const { status, body } = await service.post("/v1/definitions", {
      kind: "Agent",
      metadata: { id: "-a", version: "1.0", extra: 1 },
      triggers: [{ eventType: "a..b", priority: "urgent", filters: { seconds: ">= soon", a: { not: [{}] } } }],
      subagents: [{ id: "x", version: "newest" }],
      config: { timeoutSeconds: 0 },
    });
    expect(status).toBe(400);
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted()).toEqual([
      "/config/timeoutSeconds",
      "/metadata/extra",
      "/metadata/id",
      "/metadata/name",
      "/metadata/version",
      "/subagents/0/version",
      "/triggers/0/eventType",
      "/triggers/0/filters/a/not/0",
      "/triggers/0/filters/seconds",
      "/triggers/0/priority",
    ]);
  });

  test.each<[string, string, string]>([
    ["a NUL character", '"a\\u0000b"', "must not contain a NUL character"],
    ["half a character", '"\\ud800"', "must be well-formed Unicode"],
    [
      "more digits than a number keeps",
      "123456789012345678901",
      "has more digits than a number keeps: put it in quotes",
    ],
  ])("is refused for %s in a free object", async (_, value, message) => {
    const document = JSON.stringify(make.document({ settings: { a: ["HERE"] } })).replace('"HERE"', value);
    const { status, body } = await service.raw("POST", "/v1/definitions", document, {
      "content-type": "application/json",
    });
    expect({ status, errors: body.errors }).toEqual({ status: 400, errors: [{ pointer: "/settings/a/0", message }] });
  });

  test("is measured with its numbers written out, as they are kept", async () => {
    const document = make.document({ settings: { many: Array(4000).fill(1e300) } });
    expect((await service.post("/v1/definitions", document)).body.errors).toEqual([
      { pointer: "", message: "must be at most 1 MiB as JSON" },
    ]);
  });

  test("has one content hash, whatever the order of its fields", async () => {
    const first = await make.definition({ metadata: { id: "a" }, settings: { b: 1, a: { d: 1, c: 2 } } });
    const again = await make.definition({ settings: { a: { c: 2, d: 1 }, b: 1 }, metadata: { id: "a" } });
    expect(first.contentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(again).toEqual(first);
  });
});

describe("a draft", () => {
  test("gets other content, and is the same version", async () => {
    const { id, contentHash } = await make.definition();
    const replaced = await make.definition({ metadata: { id, name: "Another" } });
    expect(replaced).toMatchObject({ version: "1.0.0", status: "DRAFT", revision: 2 });
    expect(replaced.contentHash).not.toBe(contentHash);
    expect(await placesOf(id)).toEqual(["1.0.0 DRAFT"]);
  });

  test("is deleted, and with the last one its definition; its ETag never stands for another", async () => {
    const { id } = await make.definition();
    for (const version of ["1.1.0", "1.2.0"]) await make.definition({ metadata: { id, version } });
    await service.delete(at(id, "/versions/1.2.0"));
    expect(await placesOf(id)).toEqual(["1.1.0 DRAFT", "1.0.0 DRAFT"]);
    expect((await service.get("/v1/definitions")).body.items[0]).toMatchObject({
      highestVersion: "1.1.0",
      revision: 4,
    });
    for (const version of ["1.1.0", "1.0.0"]) await service.delete(at(id, `/versions/${version}`));
    expect((await service.get(at(id))).body.code).toBe("definition_not_found");
    expect((await make.definition({ metadata: { id } })).revision).toBe(6);
  });
});

describe("publishing", () => {
  test("makes the version current, for good", async () => {
    const { id } = await make.published();
    expect((await service.get(at(id))).body).toMatchObject({
      status: "PUBLISHED",
      current: true,
      publishedBy: "local",
    });
    const changed = await service.post("/v1/definitions", make.document({ metadata: { id, name: "Another" } }));
    expect(changed.body.code).toBe("version_immutable");
    expect((await service.delete(at(id, "/versions/1.0.0"))).body.code).toBe("version_immutable");
  });

  test("leaves what is current with activate=false", async () => {
    const { id } = await make.published();
    await make.definition({ metadata: { id, version: "2.0.0" } });
    await decide(id, "2.0.0", "publish", {}, "?activate=false");
    expect(await placesOf(id)).toEqual(["2.0.0 PUBLISHED", "1.0.0 PUBLISHED current"]);
  });

  test("again changes nothing: a repeated call does not undo a rollback", async () => {
    const { id } = await make.published();
    await make.published({ metadata: { id, version: "2.0.0" } });
    await decide(id, "1.0.0", "activate");
    const { body } = await decide(id, "2.0.0", "publish");
    expect(body).toMatchObject({ version: "2.0.0", status: "PUBLISHED", current: false, revision: 5 });
    expect(await placesOf(id)).toEqual(["2.0.0 PUBLISHED", "1.0.0 PUBLISHED current"]);
  });

  test("of the lower version makes that current: it was asked for", async () => {
    const { id } = await make.published({ metadata: { version: "2.0.0" } });
    await make.published({ metadata: { id, version: "1.0.0" } });
    expect(await placesOf(id)).toEqual(["2.0.0 PUBLISHED", "1.0.0 PUBLISHED current"]);
  });
});

test("a rollback and back, and what was current can then be deprecated", async () => {
  const { id } = await make.published();
  await make.published({ metadata: { id, version: "1.1.0" } });
  expect((await decide(id, "1.1.0", "deprecate")).body.code).toBe("version_current");
  expect((await decide(id, "1.0.0", "activate", { reason: "it loops" })).body.current).toBe(true);
  expect((await decide(id, "1.1.0", "deprecate", { reason: "it loops" })).body.deprecatedBy).toBe("local");
  expect(await placesOf(id)).toEqual(["1.1.0 DEPRECATED", "1.0.0 PUBLISHED current"]);
  expect((await decide(id, "1.1.0", "deprecate")).body).toMatchObject({ status: "DEPRECATED", revision: 6 });
  expect((await decide(id, "1.1.0", "activate")).body.code).toBe("version_not_published");
});

test("versions are in the order of Semantic Versioning, page by page, not in that of their creation", async () => {
  const order = [
    "10.0.0",
    "2.0.0",
    "2.0.0-rc.11",
    "2.0.0-rc.2",
    "2.0.0-rc.x",
    "2.0.0-beta",
    "2.0.0-9",
    "1.10.0",
    "1.9.1",
  ];
  // rc.11 < rc.x: numbers come before words.
  const expected = [
    "10.0.0",
    "2.0.0",
    "2.0.0-rc.x",
    "2.0.0-rc.11",
    "2.0.0-rc.2",
    "2.0.0-beta",
    "2.0.0-9",
    "1.10.0",
    "1.9.1",
  ];
  for (const version of order.toReversed()) await make.definition({ metadata: { id: "many", version } });
  const seen = await allPages(service, at("many", "/versions?pageSize=4"));
  expect(seen.map(({ version }) => version)).toEqual(expected);
  expect((await service.get("/v1/definitions")).body.items[0].highestVersion).toBe("10.0.0");
});

test("a diff is from what is current to the highest, unless it is told otherwise", async () => {
  const { id } = await make.published();
  await make.definition({ metadata: { id, version: "2.0.0" } });
  expect((await service.get(at(id, "/diff"))).body).toMatchObject({ from: "1.0.0", to: "2.0.0" });
  const back = (await service.get(at(id, "/diff?from=2.0.0&to=1.0.0"))).body;
  expect(back.patch).toEqual([{ op: "replace", path: "/metadata/version", value: "1.0.0" }]);
});

describe("a patch", () => {
  test("makes the next patch level of what is current, a draft with all of it", async () => {
    const { id } = await make.published({ config: { maxParallelTasks: 5, timeoutSeconds: 60 }, skills: ["a", "b"] });
    await make.definition({ metadata: { id, version: "2.0.0" } });
    const { status, headers, body } = await patch(id, { config: { timeoutSeconds: 90 }, skills: ["c"] });
    expect({ status, location: headers.get("location") }).toEqual({ status: 201, location: at(id, "?version=1.0.1") });
    expect(body).toMatchObject({ version: "1.0.1", status: "DRAFT", current: false });
    expect(body.document).toMatchObject({ config: { maxParallelTasks: 5, timeoutSeconds: 90 }, skills: ["c"] });
  });

  test.each<[string, object, string, string]>([
    ["the next that is free", {}, "", "1.0.2"],
    ["the one in the query", {}, "?version=3.0.0", "3.0.0"],
    ["the one in the patch", { metadata: { version: "4.0.0" } }, "", "4.0.0"],
    ["the one in both", { metadata: { version: "4.0.0" } }, "?version=4.0.0", "4.0.0"],
  ])("makes %s", async (_, given, query, version) => {
    const { id } = await make.published();
    await make.definition({ metadata: { id, version: "1.0.1" } });
    expect((await patch(id, { goal: { type: "on-demand", description: "d" }, ...given }, query)).body.version).toBe(
      version,
    );
  });

  test.each(["1.0.0", "1.1.0"])("makes nothing of %s, which is there", async (version) => {
    const { id } = await make.published();
    await make.definition({ metadata: { id, version: "1.1.0" } });
    expect((await patch(id, { skills: ["a"] }, `?version=${version}`)).body.code).toBe("version_exists");
    expect((await service.get(at(id, `?version=${version}`))).body.document.skills).toEqual([]);
  });

  test("removes what it names as null", async () => {
    const { id } = await make.published({ instructions: "i", settings: { a: 1, b: 2 } });
    const { document } = (await patch(id, { instructions: null, settings: { a: null } })).body;
    expect(document).not.toHaveProperty("instructions");
    expect(document.settings).toEqual({ b: 2 });
  });

  test("with publish is current at once, a lower version too", async () => {
    const { id } = await make.published();
    await patch(id, { skills: ["a"] }, "?publish=true&reason=more");
    expect(await placesOf(id)).toEqual(["1.0.1 PUBLISHED current", "1.0.0 PUBLISHED"]);
    await patch(id, { skills: ["b"] }, "?publish=true&version=0.9.0");
    expect(await placesOf(id)).toEqual(["1.0.1 PUBLISHED", "1.0.0 PUBLISHED", "0.9.0 PUBLISHED current"]);
  });

  test("of what was never published is of the highest draft", async () => {
    const { id } = await make.definition({ metadata: { version: "1.0.0" } });
    await make.definition({ metadata: { id, version: "1.2.0" }, skills: ["of 1.2"] });
    expect((await patch(id, { instructions: "i" })).body).toMatchObject({
      version: "1.2.1",
      document: { skills: ["of 1.2"] },
    });
  });

  test.each<[string, unknown, string, string]>([
    ["another kind", { kind: "Team" }, "", "/kind"],
    ["another id", { metadata: { id: "other" } }, "", "/metadata/id"],
    ["no id", { metadata: { id: null } }, "", "/metadata/id"],
    ["no metadata", { metadata: null }, "", "/metadata/id"],
    [
      "another version than the query",
      { metadata: { version: "2.0.0" }, skills: ["a"] },
      "?version=3.0.0",
      "/metadata/version",
    ],
    ["a field there is not", { skils: ["a"] }, "", "/skils"],
    ["a wrong value", { config: { enabled: "yes" } }, "", "/config/enabled"],
    ["nothing new", { config: { enabled: true } }, "", ""],
    ["nothing at all", {}, "", ""],
  ])("400 for %s", async (_, body, query, pointer) => {
    const { id } = await make.published();
    const answer = await patch(id, body, query);
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer);
    expect(await placesOf(id)).toEqual(["1.0.0 PUBLISHED current"]);
  });

  test("is taken as a merge patch or as JSON, and not as a patch of operations", async () => {
    const { id } = await make.published();
    const send = (type: string, body: unknown) =>
      service.raw("PATCH", at(id), JSON.stringify(body), { "content-type": type });
    expect((await send("application/json", { skills: ["a"] })).status).toBe(201);
    expect((await send("application/json-patch+json", [])).status).toBe(415);
  });
});

describe("a retired definition", () => {
  test("has no current version and takes in nothing, and can be read on", async () => {
    const { id } = await make.published();
    expect((await service.delete(at(id, "?reason=replaced"))).status).toBe(204);
    const { code, detail } = (await service.get(at(id))).body;
    expect({ code, detail }).toEqual({
      code: "version_not_found",
      detail: `${id} is retired: name a version to read it.`,
    });
    expect((await service.get(at(id, "?version=1.0.0"))).status).toBe(200);
    expect((await service.get("/v1/definitions?status=RETIRED")).body.items).toMatchObject([{ id, status: "RETIRED" }]);
    expect((await service.get("/v1/definitions?status=PUBLISHED")).body.items).toEqual([]);
    expect((await patch(id, { skills: ["a"] })).body.code).toBe("definition_retired");
    expect((await service.delete(at(id))).status).toBe(204);
    expect((await service.get(at(id, "?version=1.0.0"))).body.revision).toBe(3);
  });

  test("stays so when a version is published that is not to be current", async () => {
    const { id } = await make.published();
    await make.definition({ metadata: { id, version: "2.0.0" } });
    await service.delete(at(id));
    expect((await decide(id, "2.0.0", "publish", {}, "?activate=false")).body.status).toBe("PUBLISHED");
    expect((await service.get("/v1/definitions")).body.items).toMatchObject([{ id, status: "RETIRED" }]);
  });

  test.each([
    ["activated", "1.0.0", "activate"],
    ["published", "2.0.0", "publish"],
  ])("lives again with a version that is %s", async (_, version, verb) => {
    const { id } = await make.published();
    await make.definition({ metadata: { id, version: "2.0.0" } });
    await service.delete(at(id));
    expect((await decide(id, version, verb)).body.current).toBe(true);
    expect((await service.get("/v1/definitions?status=PUBLISHED")).body.items).toMatchObject([
      { currentVersion: version },
    ]);
    expect((await patch(id, { skills: ["a"] })).status).toBe(201);
  });
});
