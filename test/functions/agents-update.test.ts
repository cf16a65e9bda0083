import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { atOnce } from "./calls.ts";

const service = useService();
const { agent, running, published, agentOf, change, inboxOf, report, silence, historyOf } = agentsFor(service);

const whole = {
  description: "first",
  metadata: { region: "eu" },
  config: { maxConcurrentTasks: 2, taskQueueSize: 7, heartbeatIntervalSeconds: 30, resources: { memoryMb: 5 } },
  tags: ["a"],
  capabilities: ["b"],
  ownerTeam: "sales",
};

describe("a partial update", () => {
  test.each<[string, Record<string, unknown>]>([
    ["the name", { name: "other" }],
    ["the type", { type: "other" }],
    ["the description", { description: "other" }],
    ["the metadata, whole", { metadata: { other: "x" } }],
    ["the tags, whole", { tags: [] }],
    ["the capabilities, whole", { capabilities: ["x", "y"] }],
    ["the team", { ownerTeam: "finance" }],
    ["how much it works on", { config: { maxConcurrentTasks: 9 } }],
    ["how much may wait", { config: { taskQueueSize: 0 } }],
    ["its heartbeat", { config: { heartbeatIntervalSeconds: 5 } }],
    ["how long an attempt may take", { config: { taskTimeoutSeconds: 5 } }],
    ["its resources", { config: { resources: { cpuMillicores: 1 } } }],
  ])("changes %s and nothing else", async (_, given) => {
    const { id } = await agent(whole);
    const before = await agentOf(id);
    const answer = await change(id, given);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.headers.get("etag")).toBe('"2"');
    const { updatedAt } = answer.body;
    const config = { ...before.config, ...(given.config as object | undefined) };
    const expected = { ...before, ...given, config, revision: 2, updatedAt };
    expect(await agentOf(id)).toEqual(expected);
    expect({ ...answer.body, workingTasks: 0, waitingTasks: 0 }).toEqual(expected);
    expect(await historyOf(id)).toHaveLength(1);
  });

  test("null clears what is optional", async () => {
    const { id } = await agent({ ...whole, definition: { id: (await published()).id } });
    const cleared = { description: null, definition: null, ownerTeam: null, config: { resources: null } };
    const { body } = await change(id, cleared);
    for (const field of ["description", "definition", "ownerTeam"]) expect(body).not.toHaveProperty(field);
    expect(body.config).not.toHaveProperty("resources");
    expect(body.config.taskQueueSize).toBe(7);
  });

  test("binds another version, or another definition", async () => {
    const { id: definitionId } = await published();
    const { id } = await agent({ definition: { id: definitionId } });
    await published({ metadata: { id: definitionId, version: "2.0.0" } });
    expect((await agentOf(id)).definition.version).toBe("1.0.0");
    expect((await change(id, { definition: { id: definitionId } })).body.definition.version).toBe("2.0.0");
    const { id: other } = await published();
    expect((await change(id, { definition: { id: other } })).body.definition).toEqual({ id: other, version: "1.0.0" });
  });

  test("what the inbox keeps is changed there, once", async () => {
    const { id, aiAgentAddress } = await agent(whole);
    await change(id, { ownerTeam: "finance", config: { heartbeatIntervalSeconds: 5, taskQueueSize: 1 } });
    expect(await inboxOf(aiAgentAddress)).toMatchObject({
      revision: 2,
      ownerTeam: "finance",
      heartbeatIntervalSeconds: 5,
    });
    await change(id, { name: "other" });
    expect((await inboxOf(aiAgentAddress)).revision).toBe(2);
  });

  test("400 without a field, or with one that is not for it", async () => {
    const { id } = await agent();
    for (const body of [{}, { state: "RUNNING" }, { aiAgentAddress: "x" }, { name: null }, { config: { x: 1 } }])
      expect((await change(id, body)).status, JSON.stringify(body)).toBe(400);
    expect((await agentOf(id)).revision).toBe(1);
  });

  test("one 200 and nine 412 when ten change the same revision at once", async () => {
    const { id } = await agent();
    const answers = await atOnce(10, (n) => change(id, { name: `${n}` }, { "if-match": '"1"' }));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(9).fill(412)]);
    expect(await agentOf(id)).toMatchObject({
      revision: 2,
      name: answers.find(({ status }) => status === 200)?.body.name,
    });
  });
});

test("is healthy from its first good report until two are missed, before any sweep, or until it says otherwise", async () => {
  const { id, aiAgentAddress } = await running();
  const health = async () => {
    const { isHealthy, healthStatus } = await agentOf(id);
    return [isHealthy, healthStatus];
  };
  const listed = async (query: string) => (await service.get(`/v1/agents?${query}`)).body.items.length;
  expect(await health()).toEqual([false, "UNKNOWN"]);
  await report(aiAgentAddress);
  expect(await health()).toEqual([true, "HEALTHY"]);
  expect((await agentOf(id)).lastHeartbeat).toMatch(/^20/);
  await silence(119);
  expect([await health(), await listed("healthy=true"), await listed("healthy=false")]).toEqual([
    [true, "HEALTHY"],
    1,
    0,
  ]);
  await silence(2);
  expect([await health(), await listed("healthy=true"), await listed("healthy=false")]).toEqual([
    [false, "HEALTHY"],
    0,
    1,
  ]);
  await report(aiAgentAddress, "UNHEALTHY");
  expect(await health()).toEqual([false, "UNHEALTHY"]);
  await report(aiAgentAddress);
  expect(await health()).toEqual([true, "HEALTHY"]);
  expect((await agentOf(id)).revision).toBe(2);
});
