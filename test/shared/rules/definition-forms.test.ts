import { globSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { writeDefinition } from "../../../shared/rules/definition-export.ts";
import { inOurForm } from "../../../shared/rules/definition-forms.ts";
import { readDefinitions } from "../../../shared/rules/definition-yaml.ts";
import { AgentDocument, TeamDocument, Trigger } from "../../../shared/schemas/definition-document.ts";
import { anyValue, free } from "../../support/definitions.ts";

const read = (written: unknown) => readDefinitions(typeof written === "string" ? written : stringify(written));
const documentOf = (written: unknown) => {
  const [result] = read(written);
  expect(result?.faults).toEqual([]);
  return result?.document;
};
const told = (yaml: string) =>
  read(yaml)[0]?.faults.map(({ line, column, pointer, message }) => `${line}:${column} ${pointer} ${message}`);

const registry = {
  metadata: { id: "a", name: "A", version: "1.0.0-beta" },
  goal: { type: "continuous", description: "Go on." },
  triggers: [
    { type: "alert.*", priority: "critical", filters: { severity: "high", camelCase: 1 } },
    { type: "schedule.*", filters: { cron: "0 */6 * * *", seconds: ">= 300", region: ["eu", "us"], auto: true } },
  ],
  event_pools: ["shared.alerts"],
  subagents: [{ id: "b", version: ">=1.0.0", delegate_for: ["x"] }, { id: "c" }],
  skills: ["s"],
  permissions: { devices: ["read"] },
  config: {
    max_parallel_tasks: 1,
    approval_required_for: ["y"],
    auto_retry: false,
    feedback_collection: false,
    timeout_seconds: 60,
    budget_limit_usd: 5,
    enabled: false,
  },
};
const ours = {
  kind: "Agent",
  metadata: { id: "a", name: "A", version: "1.0.0-beta", tags: [] },
  goal: { type: "continuous", description: "Go on." },
  tools: [],
  skills: ["s"],
  settings: {},
  triggers: [
    { eventType: "alert.*", priority: "CRITICAL", filters: { severity: "high", camelCase: 1 } },
    {
      eventType: "schedule.*",
      priority: "NORMAL",
      filters: { cron: "0 */6 * * *", seconds: ">= 300", region: ["eu", "us"], auto: true },
    },
  ],
  eventPools: ["shared.alerts"],
  subagents: [
    { id: "b", version: ">=1.0.0", delegateFor: ["x"] },
    { id: "c", version: "latest", delegateFor: [] },
  ],
  permissions: { devices: ["read"] },
  config: {
    maxParallelTasks: 1,
    approvalRequiredFor: ["y"],
    autoRetry: false,
    feedbackCollection: false,
    timeoutSeconds: 60,
    budgetLimitUsd: 5,
    enabled: false,
  },
  extensions: {},
};

test("the registry's form is read in snake_case and in camelCase", () => {
  expect(documentOf(registry)).toEqual(ours);
  const { kind: _, extensions: __, ...camel } = ours;
  expect(documentOf(camel)).toEqual(ours);
});

test("what the registry's form has no field for stays where it was, under extensions", () => {
  const unknown = { nickname: "N", created_at: "2025-01-01", "": 1, constructor: [1], extensions: { own: true } };
  const withUnknown = (value: object) => ({ ...value, ...unknown });
  const written = {
    ...withUnknown(registry),
    metadata: withUnknown(registry.metadata),
    goal: withUnknown(registry.goal),
    triggers: registry.triggers.map(withUnknown),
    subagents: registry.subagents.map(withUnknown),
    config: withUnknown(registry.config),
  };
  const extended = (value: object) => ({ ...value, extensions: unknown });
  expect(documentOf(written)).toEqual({
    ...extended(ours),
    metadata: extended(ours.metadata),
    goal: extended(ours.goal),
    triggers: ours.triggers.map(extended),
    subagents: ours.subagents.map(extended),
    config: extended(ours.config),
  });
});

test("a whole number as a version is read in the registry form too", () => {
  const [read] = readDefinitions("metadata: { id: a, name: A, version: 2.0 }");
  expect(read?.document?.metadata.version).toBe("2.0.0");
});

const agent = { agent_id: "a", name: "A", version: 27 };

test.each([
  [{ agent }, { metadata: { id: "a", name: "A", version: "27.0.0", tags: [] } }],
  [{ agent: { id: "a", name: "A" } }, { metadata: { version: "1.0.0" } }],
  [{ agent: { agentId: "a", name: "A", version: "1.2.3" } }, { metadata: { id: "a", version: "1.2.3" } }],
  [
    { agent: null, agent_id: "a", name: "A", version: 2, role: "r" },
    { metadata: { id: "a", name: "A", version: "2.0.0", role: "r" } },
  ],
  [
    { agent: { ...agent, owner_team: "t", author: null, icon: "i" } },
    { metadata: { ownerTeam: "t", extensions: { icon: "i" } } },
  ],
  [
    { agent, markdown: true, num_history_runs: 5, note: null },
    { settings: { markdown: true, num_history_runs: 5, note: null }, extensions: {} },
  ],
  [
    { agent, settings: { a: 1, b: 2 }, a: 1, b: 3, c: 4 },
    { settings: { a: 1, b: 2, c: 4 }, extensions: { b: 3 } },
  ],
  [
    { agent: { ...agent, model: { id: "m", maxTokens: 1 }, tools: ["t"] }, instructions: "i" },
    { model: { id: "m", maxTokens: 1 }, tools: ["t"], instructions: "i" },
  ],
  [
    { agent, storage: { a: 1 }, memory: [1], members: ["m"] },
    { extensions: { storage: { a: 1 }, memory: [1], members: ["m"] } },
  ],
  [
    { agent: { ...agent, description: "in" }, description: "beside" },
    { metadata: { description: "in" }, settings: { description: "beside" } },
  ],
  [
    { agent, triggers: [{ type: "x" }] },
    { triggers: [], extensions: { triggers: [{ type: "x" }] } },
  ],
])("the sectioned form of an agent is read: %j", (written, expected) => {
  expect(documentOf(written)).toMatchObject({ kind: "Agent", ...expected });
});

test("the sectioned form of a team is read, its members as ids or maps", () => {
  const team = { team_id: "ana", name: "Ana", mode: "route", version: 3 };
  const members = ["a", { id: "b", version: 2, role: "r", weight: 1 }, { agent_id: "c", version: "^1.0.0" }];
  const expected = {
    kind: "Team",
    metadata: { id: "ana", name: "Ana", version: "3.0.0", tags: [] },
    mode: "route",
    settings: { markdown: true },
    storage: { table: "t" },
    members: [
      { id: "a", version: "latest" },
      { id: "b", version: "2.0.0", role: "r", extensions: { weight: 1 } },
      { id: "c", version: "^1.0.0" },
    ],
    extensions: { tools: ["t"] },
  };
  const beside = { storage: { table: "t" }, members, tools: ["t"], markdown: true };
  expect(documentOf({ team, ...beside })).toEqual(expected);
  expect(documentOf({ team: { ...team, members, storage: { table: "t" } }, tools: ["t"], markdown: true })).toEqual(
    expected,
  );
});

test.each([
  ["metadata:\n  id: a\n  name: A\n  version: 1.0.0\nevent_pools: [1]", ["5:15 /event_pools/0 must be a string"]],
  [
    "metadata:\n  id: a\n  version: 1.0.0\ntriggers:\n- type: a b\n  priority: urgent\n",
    [
      "2:3 /metadata/name is required",
      "5:9 /triggers/0/type must be segments separated by dots, without white space; * is one segment, # at the end any number",
      "6:13 /triggers/0/priority must be one of CRITICAL, HIGH, NORMAL, LOW",
    ],
  ],
  [
    "metadata: { id: a, name: A, version: 1.0.0 }\ntriggers: [{ priority: low }]",
    ["2:12 /triggers/0/type is required"],
  ],
  [
    "metadata: { id: a, name: A, version: 1.0.0 }\nsubagents: [{ id: b, delegate_for: [], delegateFor: [] }]",
    ["2:40 /subagents/0/delegateFor is the same field as delegate_for"],
  ],
  [
    'metadata: { id: a, name: A, version: 1.0.0 }\nunknown: { deep: ["\\0"] }',
    ["2:19 /unknown/deep/0 must not contain a NUL character"],
  ],
  ["metadata: 5", ["1:11 /metadata must be an object"]],
  ["agent: 5", ["1:8 /agent must be an object"]],
  [
    "agent:\n  version: 1.5\n  name: A\n  id: a\n",
    ["2:12 /agent/version must be a version as in semver.org, such as 1.0.0 or 1.1.0-rc.1, without +build"],
  ],
  ["agent:\n  name: A\n", ["2:3 /agent/agent_id is required"]],
  ["agent:\n  name: A\n  id: a\n  agent_id: a\n", ["3:3 /agent/id is the same field as agent_id"]],
  ['agent: { id: a, name: A }\nflat: "\\0"', ["2:7 /flat must not contain a NUL character"]],
  [
    "team: { id: a, name: A, mode: route }\nmembers: [b, B]",
    ["2:14 /members/1 must be 1 to 63 of a-z, 0-9 and -, and not begin with -"],
  ],
  ["team: { id: a, name: A, mode: route }\n", ["1:1 /members is required"]],
  [
    "team: { id: a, name: A, mode: any }\nmembers: [b]",
    ["1:31 /team/mode must be one of route, coordinate, collaborate"],
  ],
])("a fault in an old form is told where it is written: %j", (yaml, faults) => {
  expect(told(yaml)).toEqual(faults);
});

const leaves = (value: unknown): string[] => {
  const more = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return more.length > 0 ? more.flatMap(([key, child]) => [`key ${key}`, ...leaves(child)]) : [JSON.stringify(value)];
};

test("nothing of an old form is dropped, and it reads the same once it is written in ours", () => {
  const section = fc.tuple(free, fc.constantFrom("agent", "team"), free, free).map(([top, name, inside, settings]) => {
    const members = name === "team" ? { members: ["b"], mode: "route" } : {};
    const { kind: _, agent: __, team: ___, ...rest } = top;
    return {
      ...rest,
      settings: { x: settings },
      [name]: { ...inside, id: "a", name: "A", version: "1.0.0", ...members },
    };
  });
  const whole = fc.tuple(free, free, free, free, anyValue).map(([top, ...[metadata, trigger, config, value]]) => {
    const { kind: _, agent: __, team: ___, ...rest } = top;
    return {
      ...rest,
      metadata: { ...metadata, ...registry.metadata },
      triggers: [{ ...trigger, type: "a" }],
      config: { ...config, x: value, auto_retry: false },
    };
  });
  fc.assert(
    fc.property(fc.oneof(section, whole), (written) => {
      const form = inOurForm(written);
      const document = form.document as { kind: string };
      expect(form.faults).toEqual([]);
      const kept = leaves(document);
      for (const leaf of new Set(leaves(written)))
        if (!/^key (agent|team|type|auto_retry)$/.test(leaf)) expect(kept).toContain(leaf);
      const parsed = (document.kind === "Agent" ? AgentDocument : TeamDocument).parse(document);
      const [again] = read(writeDefinition(parsed));
      expect(JSON.parse(JSON.stringify(again?.document))).toEqual(JSON.parse(JSON.stringify(parsed)));
    }),
    { numRuns: 300 },
  );
});

test("every field of a document has its place in the registry's form", () => {
  const { metadata, goal, config, subagents } = AgentDocument.shape;
  const { kind: _, ...rest } = AgentDocument.shape;
  const all = (shape: object) => Object.fromEntries(Object.keys(shape).map((name) => [name, name]));
  const { document } = inOurForm({
    ...all(rest),
    metadata: all(metadata.shape),
    goal: all(goal.unwrap().shape),
    config: all(config.unwrap().shape),
    triggers: [all(Trigger.shape)],
    subagents: [all(subagents.unwrap().element.shape)],
  }) as { document: Record<string, unknown> };
  const objects = [document, document.metadata, document.goal, document.config, document.triggers, document.subagents];
  const extensions = objects.flat().map((object) => (object as { extensions: object }).extensions);
  expect(extensions).toEqual(Array(6).fill({ extensions: "extensions" }));
});

test("the examples are read without a fault, and name only each other", () => {
  const results = globSync("examples/definitions/*.yaml").flatMap((file) => read(readFileSync(file, "utf8")));
  expect(results.flatMap(({ faults }) => faults)).toEqual([]);
  const ids = results.map(({ id }) => id);
  expect(new Set(ids).size).toBe(7);
  expect(results).toHaveLength(7);
  const named = results.flatMap(({ document }) => {
    const others = document?.kind === "Team" ? document.members : document?.subagents;
    return others?.map(({ id }) => id) ?? [];
  });
  expect(named.toSorted()).toEqual(["analyst", "billing-specialist", "cards-specialist", "executor", "explorer"]);
  expect(ids).toEqual(expect.arrayContaining(named));
});
