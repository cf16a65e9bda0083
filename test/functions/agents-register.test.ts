import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { atOnce } from "./calls.ts";

const service = useService();
const { agent, running, inbox, published, definition, agentOf, change, tell, historyOf, at, inboxOf, update } =
  agentsFor(service);

const register = (fields: Record<string, unknown>, headers?: Record<string, string>) =>
  service.post("/v1/agents", { name: "An agent", type: "worker", ...fields }, headers);
const count = async (table: string) => (await service.sql(`select from cams.${table}`)).length;

describe("a registration", () => {
  test("with nothing but name and type makes an id, its inbox, and every default", async () => {
    const answer = await register({});
    const { id } = answer.body;
    expect(id).toMatch(/^agent-[0-9a-f]{12}$/);
    expect(answer.status).toBe(201);
    expect(answer.headers.get("location")).toBe(`/v1/agents/${id}`);
    expect(answer.headers.get("etag")).toBe('"1"');
    const { createdAt } = answer.body;
    expect(answer.body).toEqual({
      id,
      name: "An agent",
      type: "worker",
      state: "CREATED",
      isHealthy: false,
      healthStatus: "UNKNOWN",
      metadata: {},
      config: { maxConcurrentTasks: 5, taskQueueSize: 100, heartbeatIntervalSeconds: 60, taskTimeoutSeconds: 300 },
      tags: [],
      capabilities: [],
      aiAgentAddress: id,
      createdAt,
      createdBy: "local",
      updatedAt: createdAt,
      updatedBy: "local",
      revision: 1,
    });
    expect(await agentOf(id)).toEqual({ ...answer.body, workingTasks: 0, waitingTasks: 0 });
    expect(await inboxOf(id)).toMatchObject({ inboxDestinationType: "PULL_QUEUE", heartbeatIntervalSeconds: 60 });
    expect(await historyOf(id)).toEqual([{ at: createdAt, to: "CREATED", by: "local" }]);
  });

  test("with everything answers everything", async () => {
    const { id: definitionId, version } = await published();
    const given = {
      id: "support-1",
      name: "Support",
      type: "qa.manager",
      description: "first\nand second line",
      metadata: { region: "eu", constructor: "x" },
      config: {
        maxConcurrentTasks: 2,
        taskQueueSize: 0,
        heartbeatIntervalSeconds: 30,
        taskTimeoutSeconds: 10,
        resources: { cpuMillicores: 500, memoryMb: 0 },
      },
      tags: ["a", 'b,{}\\"'],
      capabilities: ["refunds"],
      aiAgentAddress: "support@corp.example",
      ownerTeam: "sales",
    };
    const { status, body } = await register({ ...given, definition: { id: definitionId } });
    expect(status).toBe(201);
    expect(body).toMatchObject({ ...given, definition: { id: definitionId, version } });
    expect(await inboxOf("support@corp.example")).toMatchObject({ ownerTeam: "sales", heartbeatIntervalSeconds: 30 });
  });

  test("at an inbox there is leaves it as it is, but for what is given", async () => {
    const webhook = { inboxDestinationType: "HTTP_ENDPOINT", inboxName: "https://a.corp.example/inbox" };
    const [first, second] = [
      await inbox({ ...webhook, heartbeatIntervalSeconds: 77, ownerTeam: "sales" }),
      await inbox({ heartbeatIntervalSeconds: 77, ownerTeam: "sales" }),
    ];
    const { body } = await register({ aiAgentAddress: first.aiAgentAddress });
    expect(body).toMatchObject({ ownerTeam: "sales", config: { heartbeatIntervalSeconds: 77 } });
    expect(await inboxOf(first.aiAgentAddress)).toMatchObject({ ...webhook, revision: 1 });
    const config = { heartbeatIntervalSeconds: 20 };
    await register({ aiAgentAddress: second.aiAgentAddress, ownerTeam: "finance", config });
    expect(await inboxOf(second.aiAgentAddress)).toMatchObject({ ...config, ownerTeam: "finance", revision: 2 });
  });

  test("409 when the id is taken, or its inbox has an agent; nothing is left of it", async () => {
    const { id } = await agent({ id: "taken", aiAgentAddress: "taken@corp.example" });
    const sameId = await register({ id, aiAgentAddress: "other@corp.example" });
    expect(sameId).toMatchObject({ status: 409, body: { code: "agent_exists", detail: expect.stringMatching(/id/) } });
    const sameInbox = await register({ aiAgentAddress: "TAKEN@corp.example", ownerTeam: "thieves" });
    expect(sameInbox).toMatchObject({
      status: 409,
      body: { code: "agent_exists", detail: expect.stringMatching(/inbox has an agent/) },
    });
    expect(await count("agent_inboxes")).toBe(1);
    expect(await inboxOf("taken@corp.example")).toMatchObject({ revision: 1 });
  });

  test.each([
    ["count", "is reserved"],
    ["Upper", "a-z"],
    ["", "a-z"],
    ["-a", "a-z"],
    ["a/b", "a-z"],
    ["a".repeat(64), "63"],
  ])("400 for the id %j", async (id, why) => {
    const { status, body } = await register({ id });
    expect(status).toBe(400);
    expect(JSON.stringify(body.errors)).toContain(why);
    expect(await count("agent_inboxes")).toBe(0);
  });

  test("ten equal ones at once: one 201, nine 409, one agent, one inbox", async () => {
    const answers = await atOnce(10, () => register({ id: "one", config: { heartbeatIntervalSeconds: 9 } }));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array(9).fill(409)]);
    expect(new Set(answers.filter(({ status }) => status === 409).map(({ body }) => body.code))).toEqual(
      new Set(["agent_exists"]),
    );
    expect([await count("agents"), await count("agent_inboxes"), await count("agent_transitions")]).toEqual([1, 1, 1]);
    expect(await inboxOf("one")).toMatchObject({ revision: 1 });
  });

  test("ten at once under one Idempotency-Key: all have the same agent", async () => {
    const answers = await atOnce(10, () => register({}, { "idempotency-key": "k" }));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect([await count("agents"), await count("agent_inboxes")]).toEqual([1, 1]);
  });

  test("while the inboxes of others are made and deleted at the same address, it has one in the end", async () => {
    const address = "busy@corp.example";
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => register({ aiAgentAddress: address })),
      ...Array.from({ length: 10 }, () => service.delete(`/v1/agent-inboxes/${address}`)),
    ]);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect((await inboxOf(address)).aiAgentAddress).toBe(address);
  });
});

describe("a definition", () => {
  test("is bound in its current version, or in the one named", async () => {
    const { id } = await published();
    await published({ metadata: { id, version: "2.0.0" } });
    expect((await agent({ definition: { id } })).definition).toEqual({ id, version: "2.0.0" });
    expect((await agent({ definition: { id, version: "1.0.0" } })).definition).toEqual({ id, version: "1.0.0" });
  });

  test("is refused while no version of it is current, or the one named is deprecated", async () => {
    const { id: draft } = await definition();
    expect(await register({ definition: { id: draft } })).toMatchObject({
      status: 404,
      body: { code: "version_not_found" },
    });
    const { id } = await published();
    await published({ metadata: { id, version: "2.0.0" } });
    await service.post(`/v1/definitions/${id}/versions/1.0.0/deprecate`, {});
    const deprecated = await register({ definition: { id, version: "1.0.0" } });
    expect(deprecated).toMatchObject({ status: 409, body: { code: "version_not_published" } });
    expect(await count("agent_inboxes")).toBe(0);
  });

  test("that agents are bound to is not retired, until they are gone or bound to another", async () => {
    const { id } = await published();
    const [first, second] = [await agent({ definition: { id } }), await agent({ definition: { id } })];
    const retire = () => service.delete(`/v1/definitions/${id}`);
    expect(await retire()).toMatchObject({
      status: 409,
      body: { code: "definition_in_use", detail: expect.stringMatching(/^2 agents/) },
    });
    await service.delete(at(first.id));
    expect(await retire()).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/^1 agent is/) } });
    await change(second.id, { definition: null });
    expect((await retire()).status).toBe(204);
  });

  test("that is retired while agents are bound to it is either retired or in use, never both", async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await published();
      const [retired, ...registered] = await Promise.all([
        service.delete(`/v1/definitions/${id}`),
        ...Array.from({ length: 4 }, () => register({ definition: { id } })),
      ]);
      const bound = registered.filter(({ status }) => status === 201).length;
      const refusals = registered.filter(({ status }) => status !== 201);
      expect(new Set(refusals.map(({ body }) => body.code))).toEqual(
        new Set(refusals.length ? ["definition_retired"] : []),
      );
      expect(retired?.status, JSON.stringify(retired?.body)).toBe(bound > 0 ? 409 : 204);
    }
  });
});

describe("a deletion", () => {
  test.each(["RUNNING", "PAUSED", "DRAINING"] as const)("is refused of one that is %s", async (state) => {
    const { id } = await agentsFor(service).inState(state);
    expect(await service.delete(at(id))).toMatchObject({ status: 409, body: { code: "agent_running" } });
    expect((await agentOf(id)).state).toBe(state);
  });

  test.each(["CREATED", "STOPPED", "FAILED"] as const)(
    "of one that is %s leaves its inbox and its history",
    async (state) => {
      const { id, aiAgentAddress } = await agentsFor(service).inState(state);
      const history = await historyOf(id);
      expect((await service.delete(at(id))).status).toBe(204);
      expect((await service.get(at(id))).body.code).toBe("agent_not_found");
      expect(await historyOf(id)).toEqual(history);
      expect(await inboxOf(aiAgentAddress)).toMatchObject({ aiAgentAddress });
      expect((await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`)).status).toBe(204);
    },
  );

  test("and what is made anew under its id goes on counting its revision", async () => {
    const { id } = await running();
    await tell(id, "stop");
    await service.delete(at(id));
    expect((await agent({ id })).revision).toBe(4);
  });
});

test("an inbox at which an agent is reached is not deleted, and the refusal names the agent", async () => {
  const { id, aiAgentAddress } = await agent();
  const answer = await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
  expect(answer).toMatchObject({ status: 409, body: { code: "inbox_in_use", detail: expect.stringContaining(id) } });
  await update(aiAgentAddress, { status: "INACTIVE" });
  expect((await agentOf(id)).aiAgentAddress).toBe(aiAgentAddress);
});
