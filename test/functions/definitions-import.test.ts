import { describe, expect, test } from "vitest";
import { tablesOf } from "../contract/tables.ts";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { at, get, patch, decide, placesOf, ...calls } = definitionCalls(service);

type Result = { id?: string; action: string; status?: string; current?: boolean; problem?: { code: string } };
const importAll = async (documents: object[], query = ""): Promise<Result[]> =>
  (await calls.import(documents, query)).body.results;
const actionsOf = (results: Result[]) => results.map(({ action, problem }) => problem?.code ?? action);

const agent = (version = "1.0.0", fields: object = {}) =>
  make.document({ metadata: { id: "echo", version }, ...fields });

describe("what is there already", () => {
  test("with the same content is unchanged, whatever it has become", async () => {
    expect(actionsOf(await importAll([agent()]))).toEqual(["created"]);
    expect(actionsOf(await importAll([agent()]))).toEqual(["unchanged"]);
    await decide("echo", "1.0.0", "publish");
    expect(actionsOf(await importAll([agent()], "?publish=true"))).toEqual(["unchanged"]);
    await make.published(agent("2.0.0"));
    await decide("echo", "1.0.0", "deprecate");
    expect(await importAll([agent()], "?publish=true")).toMatchObject([{ action: "unchanged", status: "DEPRECATED" }]);
    await service.delete(at("echo"));
    expect(actionsOf(await importAll([agent()], "?publish=true"))).toEqual(["unchanged"]);
  });

  test("as a draft gets other content, and is published when asked for", async () => {
    await make.definition(agent());
    expect(actionsOf(await importAll([agent("1.0.0", { skills: ["a"] })]))).toEqual(["replaced"]);
    expect((await get("echo", "?version=1.0.0")).body).toMatchObject({ source: "yaml", document: { skills: ["a"] } });
    expect(await importAll([agent("1.0.0", { skills: ["a"] })], "?publish=true")).toEqual([
      { id: "echo", version: "1.0.0", action: "published", status: "PUBLISHED", current: true },
    ]);
    await make.definition(agent("2.0.0"));
    expect(await importAll([agent("2.0.0", { skills: ["b"] })], "?publish=true")).toMatchObject([
      { action: "replaced", status: "PUBLISHED", current: true },
    ]);
    await importAll([agent("3.0.0")]);
    expect((await decide("echo", "3.0.0", "publish")).body).toMatchObject({ source: "yaml", current: true });
  });

  test("and was published is a conflict with other content", async () => {
    await make.published(agent());
    const before = await tablesOf(service);
    expect(actionsOf(await importAll([agent("1.0.0", { skills: ["a"] })]))).toEqual(["version_immutable"]);
    expect(await tablesOf(service)).toEqual(before);
  });

  test.each<[string, () => object]>([
    ["definition_kind_mismatch", () => make.team({ metadata: { id: "echo", version: "2.0.0" } })],
    ["definition_retired", () => agent("2.0.0")],
  ])("%s", async (code, document) => {
    await make.published(agent());
    if (code === "definition_retired") await service.delete(at("echo"));
    expect(actionsOf(await importAll([document()]))).toEqual([code]);
  });
});

test("the same document twice is unchanged, another content of the same version a conflict", async () => {
  const documents = [agent(), agent(), agent("1.0.0", { skills: ["a"] })];
  expect(actionsOf(await importAll(documents))).toEqual(["created", "unchanged", "version_exists"]);
  expect((await get("echo", "?version=1.0.0")).body.document.skills).toEqual([]);
});

test("the same document twice is refused twice", async () => {
  const team = make.team();
  await make.published(agent());
  const documents = [agent("1.0.0", { skills: ["a"] }), agent("1.0.0", { skills: ["a"] }), team, team];
  expect(actionsOf(await importAll(documents, "?publish=true"))).toEqual([
    "version_immutable",
    "version_immutable",
    "member_unresolved",
    "member_unresolved",
  ]);
});

test("one that is invalid or refused keeps no other back; results are in the order of the text", async () => {
  await make.published(agent());
  const text = [
    "kind: Agent\nmetadata: {id: first, name: First, version: 1.0.0}",
    "kind: Agent\nmetadata: {id: echo, name: Other, version: 1.0.0}",
    "kind: Agent\nmetadata: {id: second, name: [}",
    "# nothing but a comment",
    "kind: Agent\nmetadata: {id: third, name: Third, version: one}",
    "kind: Agent\nmetadata: {id: fourth, name: Fourth 🤖, version: 1.0.0}",
  ].join("\n---\n");
  const { status, body } = await calls.import(text);
  expect(status).toBe(200);
  expect(body.results).toMatchObject([
    { id: "first", action: "created" },
    { id: "echo", action: "conflict", problem: { code: "version_immutable" } },
    { action: "invalid", errors: [{ line: 8 }, { line: 8 }] },
    { id: "third", action: "invalid", errors: [{ pointer: "/metadata/version", line: 13, column: 45 }] },
    { id: "fourth", action: "created" },
  ]);
  expect((await get("fourth", "?version=1.0.0")).body.document.metadata.name).toBe("Fourth 🤖");
});

describe("with publish the highest becomes current", () => {
  test("in whatever order the versions come", async () => {
    await importAll([agent("1.0.0"), agent("2.0.0"), agent("1.10.0")], "?publish=true");
    expect(await placesOf("echo")).toEqual(["2.0.0 PUBLISHED current", "1.10.0 PUBLISHED", "1.0.0 PUBLISHED"]);
  });

  test("and what is current stays when nothing higher comes", async () => {
    await make.published(agent("2.0.0"));
    expect(await importAll([agent("1.5.0")], "?publish=true")).toMatchObject([{ status: "PUBLISHED", current: false }]);
    expect(await placesOf("echo")).toEqual(["2.0.0 PUBLISHED current", "1.5.0 PUBLISHED"]);
    expect((await service.get("/v1/definitions")).body.items).toMatchObject([{ highestVersion: "2.0.0" }]);
  });

  test("over what a call has made current too", async () => {
    await make.published(agent());
    await importAll([agent("1.1.0")], "?publish=true");
    expect(await placesOf("echo")).toEqual(["1.1.0 PUBLISHED current", "1.0.0 PUBLISHED"]);
  });
});

describe("a dry run", () => {
  test("answers what the import then answers, and writes nothing", async () => {
    await make.published(agent());
    await make.definition(make.document({ metadata: { id: "draft" } }));
    const documents = [
      agent(),
      agent("1.1.0", { subagents: [{ id: "nobody" }] }),
      agent("1.0.0", { skills: ["a"] }),
      make.document({ metadata: { id: "draft", name: "Other" } }),
      make.team({ metadata: { id: "good" }, members: [{ id: "echo", version: "1.1.0" }] }),
      make.team({ metadata: { id: "bad" }, members: [{ id: "nobody" }] }),
      { kind: "Agent" },
    ];
    const before = await tablesOf(service);
    const dry = (await calls.import(documents, "?publish=true&dryRun=true")).body;
    expect(await tablesOf(service)).toEqual(before);
    const real = (await calls.import(documents, "?publish=true")).body;
    expect(dry).toEqual({ dryRun: true, results: real.results });
    expect(actionsOf(real.results)).toEqual([
      "unchanged",
      "created",
      "version_exists",
      "replaced",
      "created",
      "member_unresolved",
      "invalid",
    ]);
  });
});

describe("a folder that is loaded again and again", () => {
  const load = (...documents: object[]) => importAll(documents, "?publish=true&source=loader");

  test("brings its new versions, and moves what it made current itself", async () => {
    await load(agent());
    expect(actionsOf(await load(agent(), agent("1.1.0")))).toEqual(["unchanged", "created"]);
    expect(await placesOf("echo")).toEqual(["1.1.0 PUBLISHED current", "1.0.0 PUBLISHED"]);
    expect((await get("echo")).body.source).toBe("loader");
  });

  test.each<[string, () => Promise<unknown>]>([
    ["a patch", () => patch("echo", { skills: ["hot fix"] }, "?publish=true&version=1.0.5")],
    [
      "a rollback and back",
      async () => {
        await make.published(agent("1.0.5"));
        await decide("echo", "1.0.0", "activate");
        await decide("echo", "1.0.5", "activate");
      },
    ],
    [
      "the activation of what is current already",
      async () => {
        await importAll([agent("1.0.5")], "?publish=true&source=loader");
        await decide("echo", "1.0.5", "activate");
      },
    ],
    ["an import", () => calls.import([agent("1.0.5")], "?publish=true")],
  ])("never moves what %s made current, and says so", async (_, decideOtherwise) => {
    await load(agent());
    await decideOtherwise();
    expect(await load(agent(), agent("1.1.0"))).toMatchObject([
      { action: "unchanged" },
      {
        action: "created",
        status: "PUBLISHED",
        current: false,
        warnings: [{ pointer: "", message: "1.0.5 stays current, because it was made so by a call" }],
      },
    ]);
    expect((await get("echo")).body.version).toBe("1.0.5");
  });

  test("never touches a draft, not even its own, nor what is retired", async () => {
    await make.definition(agent());
    expect(actionsOf(await load(agent()))).toEqual(["unchanged"]);
    expect(actionsOf(await load(agent("1.0.0", { skills: ["a"] })))).toEqual(["version_exists"]);
    expect(await placesOf("echo")).toEqual(["1.0.0 DRAFT"]);
    await decide("echo", "1.0.0", "publish");
    await service.delete(at("echo"));
    expect(actionsOf(await load(agent(), agent("2.0.0")))).toEqual(["unchanged", "definition_retired"]);
  });

  test("writes nothing when nothing has changed", async () => {
    const documents = [agent(), agent("1.1.0"), make.team({ metadata: { id: "team" }, members: [{ id: "echo" }] })];
    await load(...documents);
    const before = await tablesOf(service);
    expect(actionsOf(await load(...documents))).toEqual(["unchanged", "unchanged", "unchanged"]);
    expect(await tablesOf(service)).toEqual(before);
  });
});

describe("the body", () => {
  const text = "kind: Agent\nmetadata: {id: echo, name: Echo, version: 1.0.0}\n";
  const send = (type: string, body: string | Uint8Array<ArrayBuffer> = text) =>
    service.raw("POST", "/v1/definitions/import", body, { "content-type": type });

  test.each(["application/yaml", "text/yaml; charset=utf-8", "application/x-yaml", "text/x-yaml"])(
    "is taken as %s",
    async (type) => {
      expect((await send(type)).status).toBe(200);
    },
  );

  test.each<[string, unknown, string[]]>([
    ["one document", agent(), ["created"]],
    ["a list", [agent(), agent("1.1.0"), { kind: "Agent" }, null], ["created", "created", "invalid", "invalid"]],
    ["an older form", { agent: { id: "echo", name: "Echo", version: 3 } }, ["created"]],
    ["nothing", [], []],
  ])("is taken as JSON: %s", async (_, body, actions) => {
    const { results } = (await send("application/json", JSON.stringify(body))).body;
    expect(actionsOf(results)).toEqual(actions);
  });

  test("as YAML that is read otherwise elsewhere is taken in with a warning, beside those of its references", async () => {
    const yaml = `agent: { id: echo, name: Echo }\nmarkdown: yes\n---\n${JSON.stringify(agent("2.0.0", { subagents: [{ id: "none" }], settings: { x: "yes" } }))}`;
    const { results } = (await send("application/yaml", yaml.replace('"x":"yes"', '"x": 007'))).body;
    expect(results).toMatchObject([
      { action: "created", warnings: [{ pointer: "/markdown" }] },
      { action: "created", warnings: [{ pointer: "/settings/x" }, { pointer: "/subagents/0" }] },
    ]);
  });

  test("as JSON in an older form has the faults where they were written", async () => {
    const body = {
      metadata: { id: "echo", name: "", version: "1.0.0" },
      event_pools: [1],
      triggers: [{ type: "a..b" }],
    };
    const [{ errors }] = (await send("application/json", JSON.stringify(body))).body.results;
    const pointers = errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers.toSorted()).toEqual(["/event_pools/0", "/metadata/name", "/triggers/0/type"]);
  });

  test.each<[string, number, string, string | Uint8Array<ArrayBuffer>]>([
    ["415 as plain text", 415, "text/plain", text],
    ["415 as a form", 415, "multipart/form-data", text],
    ["400 when it is not UTF-8", 400, "application/yaml", new Uint8Array([0x61, 0xff])],
    ["400 when it is empty", 400, "application/yaml", ""],
    ["400 without a body, whatever it would be", 400, "application/json", ""],
    ["400 with more than 2,000 documents", 400, "application/yaml", "a: 1\n---\n".repeat(2001)],
    ["400 when it is JSON cut short", 400, "application/json", '[{"kind":'],
    ["400 when it is a number", 400, "application/json", "1"],
    ["413 with more than 1 MiB", 413, "application/yaml", "#".repeat(1024 * 1024 + 1)],
  ])("is refused: %s", async (_, status, type, body) => {
    expect((await send(type, body)).status).toBe(status);
  });

  test("has no result when it has no document", async () => {
    expect((await send("application/yaml", "# only a comment\n---\n")).body.results).toEqual([]);
  });
});
