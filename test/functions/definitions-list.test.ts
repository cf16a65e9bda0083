import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { allPages } from "./calls.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { at, get } = definitionCalls(service);

const listed = async (query: Record<string, string> = {}): Promise<string[]> =>
  (await service.get(`/v1/definitions?${new URLSearchParams(query)}`)).body.items.map(({ id }: { id: string }) => id);
const named = (id: string, metadata: object = {}, fields: object = {}) =>
  make.document({ metadata: { id, name: id, ...metadata }, ...fields });

describe("filters", () => {
  test("by kind, status, tag and owner, each and together", async () => {
    await make.published(named("one", { tags: ["qa", "night shift"], ownerTeam: "qa" }));
    await make.definition(named("two", { tags: ["qa"], ownerTeam: "sales" }));
    await make.published(make.team({ metadata: { id: "three", ownerTeam: "qa" }, members: [{ id: "one" }] }));
    await make.published(named("four", { ownerTeam: "qa" }));
    await service.delete(at("four"));
    await make.definition(named("five", { ownerTeam: "qa" }));
    await service.post(at("five", "/versions/1.0.0/publish?activate=false"), {});
    await service.post(at("five", "/versions/1.0.0/deprecate"), {});
    expect(await listed()).toEqual(["five", "four", "three", "two", "one"]);
    expect(await listed({ kind: "Team" })).toEqual(["three"]);
    expect(await listed({ status: "PUBLISHED" })).toEqual(["three", "one"]);
    expect(await listed({ status: "DRAFT" })).toEqual(["two"]);
    expect(await listed({ status: "DEPRECATED" })).toEqual(["five"]);
    expect(await listed({ status: "RETIRED" })).toEqual(["four"]);
    expect(await listed({ tag: "qa" })).toEqual(["two", "one"]);
    expect(await listed({ tag: "night" })).toEqual([]);
    expect(await listed({ ownerTeam: "qa" })).toEqual(["five", "four", "three", "one"]);
    expect(await listed({ ownerTeam: "qa", tag: "qa", kind: "Agent", status: "PUBLISHED" })).toEqual(["one"]);
  });

  test.each([
    ["a word of the name", "manager"],
    ["the beginning of one", "mana"],
    ["another case", "MANAGER"],
    ["a part of the id", "qa"],
    ["the id", "qa-manager"],
    ["a word of the role", "watches"],
    ["a word of the description", "blackscreen"],
    ["what a slash joins", "runbook"],
    ["a tag", "night"],
    ["letters beyond ASCII", "configuração"],
    ["several words, all there", "fleet qa"],
    ["what separates words in SQL", "qa & manager | !x"],
  ])("by words: %s", async (_, q) => {
    const description = "On a blackscreen it acts. Configuração. See ops/runbook.";
    await make.definition(
      named("qa-manager", { name: "QA Manager", role: "Watches the fleet", description, tags: ["night shift"] }),
    );
    await make.definition(named("other"));
    expect(await listed({ q })).toEqual(q.includes("!x") ? [] : ["qa-manager"]);
  });

  test.each(["fleets", "anager", "qa other", "'", "%", "!!!", "a:*b"])("by words: nothing for %s", async (q) => {
    await make.definition(named("qa-manager", { name: "QA Manager", role: "Watches the fleet" }));
    expect(await listed({ q })).toEqual([]);
  });
});

test("each is shown as its current version says, or while none is current as its highest", async () => {
  await make.definition(named("echo", { name: "Draft", tags: ["a"] }));
  expect((await service.get("/v1/definitions")).body.items[0]).toMatchObject({
    name: "Draft",
    status: "DRAFT",
    tags: ["a"],
  });
  await make.published(named("echo", { name: "Current", version: "1.1.0", role: "r", description: "d" }));
  await make.definition(named("echo", { name: "Next", version: "2.0.0" }));
  const [shown] = (await service.get("/v1/definitions")).body.items;
  expect(shown).toMatchObject({
    name: "Current",
    role: "r",
    description: "d",
    currentVersion: "1.1.0",
    highestVersion: "2.0.0",
    tags: [],
  });
  expect(await listed({ q: "next" })).toEqual([]);
  expect(shown.revision).toBe((await get("echo")).body.revision);
});

test("page by page, newest first, each once while others are added", async () => {
  const ids = Array.from({ length: 7 }, (_, n) => `agent-${n}`);
  for (const id of ids) await make.definition(named(id));
  let pages = 0;
  const seen = await allPages(service, "/v1/definitions?pageSize=3", () => make.definition(named(`later-${++pages}`)));
  expect(seen.map(({ id }) => id)).toEqual(ids.toReversed());
});
