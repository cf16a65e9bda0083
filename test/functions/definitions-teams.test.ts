import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { at, get, patch, decide, placesOf, ...calls } = definitionCalls(service);

const agent = (id: string, version = "1.0.0", fields: object = {}) =>
  make.document({ metadata: { id, version }, ...fields });
const team = (members: object[], id = "team", version = "1.0.0") => make.team({ metadata: { id, version }, members });

describe("a team's lock", () => {
  /** 1.0.0, 1.1.0, 1.2.0 (a draft), 2.0.0-rc.1, 2.0.0 (deprecated), 3.0.0; current is 1.0.0. */
  async function manyVersions() {
    for (const version of ["1.1.0", "2.0.0-rc.1", "2.0.0", "3.0.0", "1.0.0"])
      await make.published(agent("member", version));
    await make.definition(agent("member", "1.2.0"));
    await decide("member", "2.0.0", "deprecate");
  }

  test.each([
    [undefined, "1.0.0"],
    ["latest", "1.0.0"],
    ["1.1.0", "1.1.0"],
    ["^1.0.0", "1.1.0"],
    ["~1.0.0", "1.0.0"],
    ["1.x", "1.1.0"],
    [">=1.0.0", "3.0.0"],
    [">=1.0.0 <2.0.0", "1.1.0"],
    ["1.0.0 - 1.5.0", "1.1.0"],
    ["2.x || 1.x", "1.1.0"],
    ["2.0.0-rc.1", "2.0.0-rc.1"],
    ["*", "3.0.0"],
  ])("of a member at %s is %s", async (version, exact) => {
    await manyVersions();
    const { lock } = await make.published(team([{ id: "member", ...(version && { version }) }]));
    expect(lock).toEqual([{ id: "member", version: exact }]);
    expect((await get("team")).body.lock).toEqual(lock);
  });

  test("stays as it is when another version of the member is current", async () => {
    await make.published(agent("member"));
    await make.published(team([{ id: "member" }]));
    await make.published(agent("member", "2.0.0"));
    await decide("member", "1.0.0", "deprecate");
    expect((await get("team")).body.lock).toEqual([{ id: "member", version: "1.0.0" }]);
    expect((await patch("team", { metadata: { name: "again" } }, "?publish=true")).body.lock).toEqual([
      { id: "member", version: "2.0.0" },
    ]);
  });

  test.each<[string, object[], () => Promise<unknown>]>([
    ["there is none of that id", [{ id: "nobody" }], async () => {}],
    ["it is a draft", [{ id: "member" }], () => make.definition(agent("member"))],
    ["no version fits", [{ id: "member", version: "^2.0.0" }], () => make.published(agent("member"))],
    [
      "what fits is deprecated",
      [{ id: "member", version: "1.0.0" }],
      async () => {
        await make.published(agent("member"));
        await make.published(agent("member", "2.0.0"));
        await decide("member", "1.0.0", "deprecate");
      },
    ],
    [
      "it is retired",
      [{ id: "member", version: "1.0.0" }],
      async () => {
        await make.published(agent("member"));
        await service.delete(at("member"));
      },
    ],
    [
      "none of it is current",
      [{ id: "member" }],
      async () => {
        await make.definition(agent("member"));
        await decide("member", "1.0.0", "publish", {}, "?activate=false");
      },
    ],
    ["it is the team itself", [{ id: "team", version: "*" }], async () => {}],
  ])("is refused when of a member %s", async (_, members, prepare) => {
    await prepare();
    await make.published(agent("known"));
    const { warnings } = await make.definition(team([{ id: "known" }, ...members]));
    expect(warnings).toMatchObject([{ pointer: "/members/1" }]);
    const { status, body } = await decide("team", "1.0.0", "publish");
    expect({ status, code: body.code }).toEqual({ status: 409, code: "member_unresolved" });
    expect(body.errors).toEqual(warnings);
    expect(body.detail).toContain((members[0] as { id: string }).id);
    expect(await placesOf("team")).toEqual(["1.0.0 DRAFT"]);
  });

  test("has no version of the team itself, not even one that is published", async () => {
    await make.published(agent("known"));
    await make.published(team([{ id: "known" }]));
    await make.definition(team([{ id: "team" }], "team", "2.0.0"));
    expect((await decide("team", "2.0.0", "publish")).body.code).toBe("member_unresolved");
  });

  test("is settled: what becomes of a member afterwards is no warning of the team's", async () => {
    const document = team([{ id: "member", version: "1.0.0" }]);
    await make.published(agent("member"));
    await make.published(document);
    await make.published(agent("member", "2.0.0"));
    await decide("member", "1.0.0", "deprecate");
    const [result] = (await calls.import([document])).body.results;
    expect(result).toEqual({ id: "team", version: "1.0.0", action: "unchanged", status: "PUBLISHED", current: true });
  });

  test("finds members that come with the team, teams too, in whatever order", async () => {
    const documents = [
      team([{ id: "inner" }, { id: "b", version: "^1.0.0" }], "outer"),
      team([{ id: "a" }], "inner"),
      agent("a"),
      agent("b", "1.4.0"),
    ];
    const { results } = (await calls.import(documents, "?publish=true")).body;
    expect(results.map(({ action }: { action: string }) => action)).toEqual(Array(4).fill("created"));
    expect((await get("outer")).body.lock).toEqual([
      { id: "inner", version: "1.0.0" },
      { id: "b", version: "1.4.0" },
    ]);
  });

  test.each(["the member first", "the team first"])(
    "locks the version of a member that comes with it: %s",
    async (order) => {
      await make.published(agent("a"));
      await make.published(team([{ id: "a" }], "inner"));
      const inner = team([{ id: "a" }], "inner", "1.1.0");
      const documents = [team([{ id: "inner" }], "outer"), inner];
      await calls.import(order === "the team first" ? documents : documents.toReversed(), "?publish=true");
      expect((await get("outer")).body.lock).toEqual([{ id: "inner", version: "1.1.0" }]);
    },
  );

  test("goes on where one of two that are members of each other can be", async () => {
    await make.published(agent("a"));
    await make.published(team([{ id: "a" }], "one"));
    const documents = [team([{ id: "one" }], "two", "2.0.0"), team([{ id: "two", version: "^2.0.0" }], "one", "1.1.0")];
    const { results } = (await calls.import(documents, "?publish=true")).body;
    expect(results).toMatchObject([{ status: "PUBLISHED" }, { status: "PUBLISHED" }]);
    expect((await get("two")).body.lock).toEqual([{ id: "one", version: "1.0.0" }]);
  });

  test("of teams that are members of each other is refused to both, and to neither its agents", async () => {
    const documents = [team([{ id: "two" }], "one"), team([{ id: "one" }, { id: "a" }], "two"), agent("a")];
    const { results } = (await calls.import(documents, "?publish=true")).body;
    expect(results).toMatchObject([
      { action: "conflict", problem: { code: "member_unresolved" }, errors: [{ pointer: "/members/0" }] },
      { action: "conflict", problem: { code: "member_unresolved" }, errors: [{ pointer: "/members/0" }] },
      { action: "created", status: "PUBLISHED" },
    ]);
    expect((await service.get("/v1/definitions")).body.items).toMatchObject([{ id: "a" }]);
  });
});

test("a definition is not retired while it is a member of a current team, and is afterwards", async () => {
  await make.published(agent("member"));
  await make.published(team([{ id: "member" }]));
  const { body } = await service.delete(at("member"));
  expect(body).toMatchObject({ code: "definition_in_use", detail: "member is a member of team." });
  await service.delete(at("team"));
  expect((await service.delete(at("member"))).status).toBe(204);
});

describe("a sub-agent that is not known", () => {
  const withSubagents = (id: string) =>
    agent(id, "1.0.0", { subagents: [{ id: "known" }, { id: "unknown", version: ">=1.0.0" }] });
  const warning = { pointer: "/subagents/1", message: "unknown has no published version that fits >=1.0.0" };

  test("is warned of, in the answers that create, publish, patch and import", async () => {
    await make.published(agent("known"));
    expect((await make.definition(withSubagents("boss"))).warnings).toEqual([warning]);
    expect((await decide("boss", "1.0.0", "publish")).body).toMatchObject({ current: true, warnings: [warning] });
    expect((await patch("boss", { skills: ["a"] })).body.warnings).toEqual([warning]);
    expect((await calls.import([withSubagents("chief")])).body.results[0].warnings).toEqual([warning]);
  });

  test("is not warned of when it comes later in the same import", async () => {
    const documents = [withSubagents("boss"), agent("known"), agent("unknown")];
    for (const { warnings } of (await calls.import(documents, "?publish=true")).body.results)
      expect(warnings).toBeUndefined();
  });
});
