import type { Call, Case, EndpointCases, Kit, RoomCases } from "./case.ts";

const nobody = { agentId: "nobody" };
const stale = { "If-Match": '"999"' };

/** Of the team that callers of these tests are of. */
const made = async ({ make }: Kit, fields: Record<string, unknown> = {}) => {
  const { id } = await make.agent({ ownerTeam: "sales", ...fields });
  return { agentId: id as string };
};
const told =
  (...verbs: string[]) =>
  async (kit: Kit) => {
    const params = await made(kit);
    for (const verb of verbs) await kit.service.post(`/v1/agents/${params.agentId}/${verb}`, {});
    return params;
  };
const running = told("start");
const quarantined = async (kit: Kit) => {
  const params = await made(kit);
  await kit.service.post(`/v1/agents/${params.agentId}/quarantine`, { reason: "incident 7" });
  return params;
};

/** A call that names a definition which an agent cannot be bound to, for each reason. */
const unbound = (call: (kit: Kit, definition: Record<string, unknown>) => Promise<Call>): EndpointCases["errors"] => ({
  definition_not_found: (kit) => call(kit, { id: "nobody" }),
  version_not_found: async (kit) => call(kit, { id: (await kit.make.published()).id, version: "9.9.9" }),
  version_not_published: async (kit) => {
    const { id } = await kit.make.published();
    await kit.make.definition({ metadata: { id, version: "2.0.0" } });
    return call(kit, { id, version: "2.0.0" });
  },
  definition_kind_mismatch: async (kit) => {
    const { id: member } = await kit.make.published();
    const { body } = await kit.service.post("/v1/definitions", kit.make.team({ members: [{ id: member }] }));
    await kit.service.post(`/v1/definitions/${body.id}/versions/${body.version}/publish`, {});
    return call(kit, { id: body.id });
  },
  definition_retired: async (kit) => {
    const { id } = await kit.make.published();
    await kit.service.delete(`/v1/definitions/${id}`);
    return call(kit, { id });
  },
});

const command = (
  ready: (kit: Kit) => Promise<{ agentId: string }>,
  body: Record<string, unknown> = {},
): EndpointCases => {
  const call =
    (params: (kit: Kit) => Promise<{ agentId: string }>, headers = {}): Case =>
    async (kit) => ({ params: await params(kit), body, headers });
  return {
    success: call(ready),
    errors: {
      agent_not_found: call(async () => nobody),
      // Neither stopped again, nor paused, nor resumed; and what runs is not started.
      agent_transition_refused: call(ready === running || ready === paused ? told("start", "stop") : running),
      revision_mismatch: call(ready, stale),
    },
  };
};
const paused = told("start", "pause");
const order = { reason: "incident 7" };

export const agents: RoomCases = {
  "agents-register": {
    success: async ({ make }) => {
      const { id, version } = await make.published();
      return {
        body: {
          id: make.address().split("@")[0],
          name: "Support",
          type: "worker",
          description: "answers",
          metadata: { region: "eu" },
          config: { maxConcurrentTasks: 2, taskQueueSize: 7, resources: { cpuMillicores: 500 } },
          tags: ["support"],
          capabilities: ["refunds"],
          definition: { id, version },
          ownerTeam: "sales",
        },
      };
    },
    makeRoom: async ({ service }, { body }) => {
      await service.delete(`/v1/agents/${body?.id}`);
      await service.delete(`/v1/agent-inboxes/${body?.id}`);
    },
    errors: {
      agent_exists: async (kit) => ({ body: { id: (await made(kit)).agentId, name: "Another", type: "worker" } }),
      ...unbound(async (_, definition) => ({ body: { name: "Support", type: "worker", definition } })),
    },
  },
  "agents-list": {
    success: async (kit) => {
      const { id } = await kit.make.published();
      const fields = { tags: ["a"], capabilities: ["b"], definition: { id } };
      await made(kit, fields);
      await made(kit, fields);
      const filters = {
        type: "worker",
        state: "CREATED",
        healthy: "false",
        quarantined: "false",
        definitionId: id,
        ownerTeam: "sales",
      };
      return { query: { ...filters, tag: "a", capability: "b", q: "agen", pageSize: "1" } };
    },
    errors: {},
  },
  "agents-count": {
    success: async (kit) => {
      await made(kit);
      return { query: { type: "worker" } };
    },
    errors: {},
  },
  "agents-get": {
    success: async (kit) => ({ params: await quarantined(kit) }),
    errors: { agent_not_found: async () => ({ params: nobody }) },
  },
  "agents-update": {
    success: async (kit) => ({
      params: await made(kit, { description: "old" }),
      body: {
        description: null,
        config: { maxConcurrentTasks: 9, heartbeatIntervalSeconds: 30, resources: null },
        definition: { id: (await kit.make.published()).id },
        ownerTeam: "sales",
      },
    }),
    errors: {
      agent_not_found: async () => ({ params: nobody, body: { name: "x" } }),
      revision_mismatch: async (kit) => ({ params: await made(kit), body: { name: "x" }, headers: stale }),
      ...unbound(async (kit, definition) => ({ params: await made(kit), body: { definition } })),
    },
  },
  "agents-delete": {
    success: async (kit) => ({ params: await made(kit) }),
    errors: {
      agent_not_found: async () => ({ params: nobody }),
      agent_running: async (kit) => ({ params: await running(kit) }),
      revision_mismatch: async (kit) => ({ params: await made(kit), headers: stale }),
    },
  },
  "agents-start": command(told("stop"), { reason: "morning" }),
  "agents-stop": command(running, { reason: "evening", drain: true }),
  "agents-pause": command(running),
  "agents-resume": command(paused),
  "agents-restart": command(running),
  "agents-quarantine": {
    success: async (kit) => ({ params: await made(kit), body: order }),
    errors: { agent_not_found: async () => ({ params: nobody, body: order }) },
  },
  "agents-release": {
    success: async (kit) => ({ params: await quarantined(kit), body: order }),
    errors: { agent_not_found: async () => ({ params: nobody, body: order }) },
  },
  "agents-history": {
    success: async (kit) => ({ params: await running(kit), query: { pageSize: "1" } }),
    errors: { agent_not_found: async () => ({ params: nobody }) },
  },
  "agents-quarantine-many": {
    success: async (kit) => {
      await made(kit);
      return { body: { selector: { type: "worker" }, ...order } };
    },
    errors: {},
  },
  "agents-release-many": {
    success: async (kit) => {
      await quarantined(kit);
      return { body: { selector: { all: true }, ...order } };
    },
    errors: {},
  },
};
