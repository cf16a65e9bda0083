import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Answer } from "../support/client.ts";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { at, get, patch, decide, placesOf, ...calls } = definitionCalls(service);

const statusesOf = (answers: Answer[]) => answers.map(({ status }) => status);
const agent = (version = "1.0.0", fields: object = {}) =>
  make.document({ metadata: { id: "echo", version }, ...fields });

/** The history oldest first, and that each state begins where the one before ended. */
async function historyOf(id: string) {
  const { items } = (await get(id, "/history?pageSize=1000")).body;
  const changes = items.toReversed();
  const activations = changes.filter(({ action }: { action: string }) => ["created", "activated"].includes(action));
  for (let i = 1; i < activations.length; i++)
    expect(activations[i].before.currentVersion).toBe(activations[i - 1].after.currentVersion);
  return { changes, activations };
}

describe("20 patches that are published at once", () => {
  test("are 20 versions one after the other, and the last has what each of them brought", async () => {
    await make.published(agent());
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => patch("echo", { settings: { [`key${n}`]: n } }, "?publish=true")),
    );
    expect(new Set(statusesOf(answers))).toEqual(new Set([201]));
    expect(answers.map(({ body }) => body.version).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, n) => `1.0.${n + 1}`).toSorted(),
    );
    const { version, document } = (await get("echo")).body;
    expect(version).toBe("1.0.20");
    expect(Object.keys(document.settings)).toHaveLength(20);
    expect((await historyOf("echo")).activations).toHaveLength(22);
  });

  test("and name the same revision are one version, and 19 are told to look again", async () => {
    const { revision } = await make.published(agent());
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => patch("echo", { settings: { n } }, "", { "if-match": `"${revision}"` })),
    );
    expect(statusesOf(answers).toSorted()).toEqual([201, ...Array(19).fill(412)]);
    expect(await placesOf("echo")).toHaveLength(2);
  });
});

test("patch, publish, activate, deprecate and import at once leave one current version, and a history without a gap", async () => {
  await make.published(agent());
  for (let n = 1; n <= 8; n++) await make.definition(agent(`2.${n}.0`));
  const acts = Array.from({ length: 8 }, (_, n) => [
    () => patch("echo", { settings: { n } }, "?publish=true"),
    () => decide("echo", `2.${n + 1}.0`, "publish"),
    () => decide("echo", "1.0.0", "activate"),
    () => decide("echo", `2.${n + 1}.0`, "deprecate"),
    () => calls.import([agent(`3.${n}.0`)], "?publish=true"),
  ]).flat();
  const answers = await Promise.all(
    acts.map(async (act) => {
      await delay(Math.random() * 50);
      return act();
    }),
  );
  expect(statusesOf(answers).filter((status) => ![200, 201, 409].includes(status))).toEqual([]);
  const places = await placesOf("echo");
  expect(places.filter((place) => place.endsWith("current"))).toHaveLength(1);
  const { changes, activations } = await historyOf("echo");
  expect(activations.at(-1).after.currentVersion).toBe((await get("echo")).body.version);
  // Each published version was published once, each deprecated one deprecated once.
  const count = (action: string) => changes.filter((change: { action: string }) => change.action === action).length;
  expect(count("version_published")).toBe(places.filter((place) => !place.includes("DRAFT")).length);
  expect(count("version_deprecated")).toBe(places.filter((place) => place.includes("DEPRECATED")).length);
  const [audit] = (await service.get("/v1/audit/verify")).body.valid ? ["valid"] : ["broken"];
  expect(audit).toBe("valid");
});

test("agents that are sub-agents of each other are patched at once, and neither waits for the other", async () => {
  await make.published(agent());
  await make.published(make.document({ metadata: { id: "other" }, subagents: [{ id: "echo" }] }));
  await patch("echo", { subagents: [{ id: "other" }] }, "?publish=true");
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => patch(n % 2 ? "echo" : "other", { settings: { n } }, "?publish=true")),
  );
  expect(new Set(statusesOf(answers))).toEqual(new Set([201]));
});

test("imports of teams that are members of each other wait for each other in one order", async () => {
  const one = (id: string, member: string, n: number) =>
    make.team({ metadata: { id, version: `1.${n}.0` }, members: [{ id: member }] });
  await calls.import([agent(), one("one", "echo", 0), one("two", "echo", 0)], "?publish=true");
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      calls.import([n % 2 ? one("one", "two", n + 1) : one("two", "one", n + 1)], "?publish=true"),
    ),
  );
  expect(new Set(statusesOf(answers))).toEqual(new Set([200]));
});

test("the same draft published 20 times at once is published once", async () => {
  await make.definition(agent());
  const answers = await Promise.all(Array.from({ length: 20 }, () => decide("echo", "1.0.0", "publish")));
  expect(new Set(statusesOf(answers))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ body }) => body.revision))).toEqual(new Set([2]));
  expect((await historyOf("echo")).changes).toHaveLength(4);
});

test("a new definition that 20 create at once, each a version, has them all", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => service.post("/v1/definitions", agent(`1.${n}.0`))),
  );
  expect(new Set(statusesOf(answers))).toEqual(new Set([201]));
  expect(await placesOf("echo")).toHaveLength(20);
  expect((await service.get("/v1/definitions")).body.items).toMatchObject([{ highestVersion: "1.19.0", revision: 20 }]);
});

test("imports of the same 100 definitions, forwards and backwards at once, take each once", async () => {
  const documents = Array.from({ length: 100 }, (_, n) => make.document({ metadata: { id: `agent-${n}` } }));
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => calls.import(n % 2 ? documents : documents.toReversed(), "?publish=true")),
  );
  expect(new Set(statusesOf(answers))).toEqual(new Set([200]));
  const actions = answers.flatMap(({ body }) => body.results.map(({ action }: { action: string }) => action));
  expect(actions.filter((action) => action === "created")).toHaveLength(100);
  expect(actions.filter((action) => action === "unchanged")).toHaveLength(500);
});

test("a member that is retired or deprecated while its team is published is in its lock or was in time", async () => {
  for (let round = 0; round < 10; round++) {
    const [member, team] = [`member-${round}`, `team-${round}`];
    await make.published(make.document({ metadata: { id: member } }));
    await make.definition(make.team({ metadata: { id: team }, members: [{ id: member }] }));
    const [published, retired] = await Promise.all([decide(team, "1.0.0", "publish"), service.delete(at(member))]);
    expect([
      [200, 409],
      [409, 204],
    ]).toContainEqual([published.status, retired.status]);
  }
});

test("publishing, patching and activating teams beside imports of them and their members never ends in a deadlock", async () => {
  const team = (version: string) => make.team({ metadata: { id: "z-team", version }, members: [{ id: "a-member" }] });
  const member = (version: string) => make.document({ metadata: { id: "a-member", version } });
  await make.published(member("1.0.0"));
  for (let n = 0; n < 15; n++) await make.definition(team(`1.${n}.0`));
  const deadlocks = async () => {
    const [{ deadlocks }] = (await service.sql(
      "select deadlocks::int from pg_stat_database where datname = current_database()",
    )) as [{ deadlocks: number }];
    return deadlocks;
  };
  const before = await deadlocks();
  const acts = Array.from({ length: 15 }, (_, n) => [
    () => decide("z-team", `1.${n}.0`, "publish"),
    () => calls.import([member(`2.${n}.0`), team(`2.${n}.0`)], "?publish=true"),
    () => decide("z-team", `1.${n}.0`, "activate"),
    () => patch("z-team", { settings: { n } }, "?publish=true"),
  ]).flat();
  const answers = await Promise.all(acts.map((act) => act()));
  expect(statusesOf(answers).filter((status) => ![200, 201, 409].includes(status))).toEqual([]);
  // The server tells its numbers with a delay of a second.
  await delay(1500);
  expect(await deadlocks()).toBe(before);
});
