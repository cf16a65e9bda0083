import type { Call, Case, Kit, RoomCases } from "./case.ts";

type Fields = Record<string, unknown>;

const noTask = { taskId: "019a0000-0000-7000-8000-000000000000" };
const noToken = "019a0000-0000-4000-8000-000000000000";
const nobody = { agentId: "nobody" };
const error = { code: "no_data", message: "there was nothing to read" };

/** A task by its path; its agent is of the team that callers of these tests are of. */
async function submitted({ make }: Kit, fields: Fields = {}) {
  const { taskId, agentId } = await make.task(fields);
  return { taskId: taskId as string, agentId: agentId as string };
}
const only = ({ taskId }: { taskId: string }) => ({ taskId });

/** A task in its agent's hand: by its path, and the token. */
async function claimed({ make }: Kit) {
  const { taskId, leaseToken } = await make.claimed();
  return { params: { taskId: taskId as string }, leaseToken: leaseToken as string };
}

async function cancelled(kit: Kit, { taskId }: { taskId: string }) {
  await kit.service.post(`/v1/tasks/${taskId}/cancel`, {});
  return { taskId };
}

async function pausedInbox(kit: Kit) {
  const { id, aiAgentAddress } = await kit.make.running({ ownerTeam: "sales" });
  await kit.service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "INACTIVE" });
  return { agentId: id as string };
}

/** A running agent of a definition with this configuration. */
async function agentOf(kit: Kit, config: Fields) {
  const { id, version } = await kit.make.published({ config });
  const agent = await kit.make.running({ definition: { id }, ownerTeam: "sales" });
  return { definitionId: id as string, version: version as string, agentId: agent.id as string };
}

/** A submission of a task that depends on what it cannot. */
const dependent = (to: (kit: Kit) => Promise<Record<string, string>>, on: (kit: Kit) => Promise<string>): Case => {
  return async (kit) => ({ params: await to(kit), body: { type: "report", dependsOn: [await on(kit)] } });
};
/** One for which as many tasks wait as may. */
const busyTask = async (kit: Kit): Promise<string> => {
  const { taskId } = await submitted(kit);
  await kit.service.sql(
    `with t as (
       insert into cams.tasks (task_id, agent_id, type, payload, priority, cause_kind, timeout_seconds, max_attempts,
         submitted_at, submitted_by, rank_at, available_at, waiting_for)
       select cams.uuid7(now()), agent_id, 't', '{}', 3, 'MANUAL', 300, 3, now(), 'test', now(), now(), 1
       from cams.tasks, generate_series(1, 1000) where task_id = $1 returning task_id)
     insert into cams.task_dependencies (depends_on, task_id) select $1, task_id from t`,
    [taskId],
  );
  return taskId;
};
const failedTask = async (kit: Kit) => (await cancelled(kit, await submitted(kit))).taskId;
const unknownTask = async () => noTask.taskId;

const anAgent = async ({ make }: Kit) => ({ agentId: (await make.running({ ownerTeam: "sales" })).id as string });
const aPool = async ({ make }: Kit) => ({ definitionId: (await make.published()).id as string });
const body = { type: "report" };

async function whole(kit: Kit) {
  return {
    type: "report",
    name: "The third quarter",
    payload: { quarter: 3, regions: ["north", "south"] },
    priority: "HIGH",
    cause: { kind: "MESSAGE", id: "m-1" },
    dependsOn: [(await submitted(kit)).taskId],
    timeoutSeconds: 600,
    maxAttempts: 5,
  };
}

/** What proves by a token: rightly, and with each thing that makes the token prove nothing. */
const proving = (fields: Fields) => {
  const call = (params: Record<string, string>, leaseToken: string): Call => ({
    params,
    body: { leaseToken, ...fields },
  });
  return {
    success: async (kit: Kit) => {
      const { params, leaseToken } = await claimed(kit);
      return call(params, leaseToken);
    },
    errors: {
      task_not_found: async (kit: Kit) => call(noTask, (await claimed(kit)).leaseToken),
      task_finished: async (kit: Kit) => {
        const { params, leaseToken } = await claimed(kit);
        return call(await cancelled(kit, params), leaseToken);
      },
      lease_expired: async (kit: Kit) => call((await claimed(kit)).params, noToken),
    },
  };
};

/** A task of the team's definition, for which it asks an operator. */
async function undecided(kit: Kit) {
  const { definitionId } = await agentOf(kit, { approvalRequiredFor: ["report"] });
  const { body: task } = await kit.service.post(`/v1/definitions/${definitionId}/tasks`, body);
  return { taskId: task.taskId as string };
}
const deciding = {
  success: async (kit: Kit) => ({ params: await undecided(kit), body: { reason: "as agreed" } }),
  errors: {
    task_not_found: async () => ({ params: noTask, body: {} }),
    approval_decided: async (kit: Kit) => {
      const params = await undecided(kit);
      await kit.service.post(`/v1/tasks/${params.taskId}/approve`, {});
      return { params, body: {} };
    },
  },
};

export const tasks: RoomCases = {
  "tasks-submit": {
    success: async (kit) => ({ params: await anAgent(kit), body: await whole(kit) }),
    errors: {
      agent_not_found: async () => ({ params: nobody, body }),
      agent_not_running: async (kit) => {
        const params = await anAgent(kit);
        await kit.service.post(`/v1/agents/${params.agentId}/stop`, {});
        return { params, body };
      },
      inbox_inactive: async (kit) => ({ params: await pausedInbox(kit), body }),
      queue_full: async ({ make }) => {
        const { id } = await make.running({ config: { taskQueueSize: 0 } });
        return { params: { agentId: id as string }, body };
      },
      task_not_found: dependent(anAgent, unknownTask),
      dependency_failed: dependent(anAgent, failedTask),
    },
  },
  "tasks-submit-pooled": {
    success: async (kit) => ({ params: await aPool(kit), body: await whole(kit) }),
    errors: {
      definition_not_found: async () => ({ params: { definitionId: "nobody" }, body }),
      definition_kind_mismatch: async ({ make }) => {
        const { id: member } = await make.published();
        const { id } = await make.published(make.team({ members: [{ id: member }] }));
        return { params: { definitionId: id as string }, body };
      },
      definition_retired: async (kit) => {
        const params = await aPool(kit);
        await kit.service.delete(`/v1/definitions/${params.definitionId}`);
        return { params, body };
      },
      version_not_found: async ({ make }) => ({ params: { definitionId: (await make.definition()).id }, body }),
      definition_disabled: async ({ make }) => {
        const { id } = await make.published({ config: { enabled: false } });
        return { params: { definitionId: id as string }, body };
      },
      task_not_found: dependent(aPool, unknownTask),
      dependency_failed: dependent(aPool, failedTask),
      queue_full: dependent(aPool, busyTask),
    },
  },
  "tasks-claim": {
    success: async (kit) => {
      const { agentId } = await submitted(kit);
      return { params: { agentId }, body: { maxTasks: 5, leaseSeconds: 30, waitSeconds: 0 } };
    },
    errors: {
      agent_not_found: async () => ({ params: nobody, body: {} }),
      agent_not_running: async (kit) => {
        const { agentId } = await submitted(kit);
        await kit.service.post(`/v1/agents/${agentId}/pause`, {});
        return { params: { agentId }, body: {} };
      },
      inbox_inactive: async (kit) => ({ params: await pausedInbox(kit), body: {} }),
      definition_disabled: async (kit) => {
        const { agentId } = await agentOf(kit, { enabled: false });
        return { params: { agentId }, body: {} };
      },
      budget_exhausted: async (kit) => {
        const { agentId } = await agentOf(kit, { budgetLimitUsd: 0 });
        return { params: { agentId }, body: {} };
      },
    },
  },
  "tasks-progress": proving({
    leaseSeconds: 120,
    progress: { percent: 40, message: "read half of it" },
    usage: { tokens: 1200, costUsd: 0.02, toolCalls: 3 },
  }),
  "tasks-complete": proving({ result: { lines: 12 }, usage: { tokens: 2000, costUsd: 0.03, toolCalls: 4 } }),
  "tasks-fail": proving({ error, retryable: true, retryAfterSeconds: 5, usage: { tokens: 10 } }),
  "tasks-cancel": {
    success: async (kit) => ({ params: only(await submitted(kit)), body: { reason: "no longer needed" } }),
    errors: {
      task_not_found: async () => ({ params: noTask, body: {} }),
      task_finished: async (kit) => ({ params: await cancelled(kit, await submitted(kit)), body: {} }),
    },
  },
  "tasks-approve": deciding,
  "tasks-reject": deciding,
  "tasks-rate": {
    success: async (kit) => {
      const { params, leaseToken } = await claimed(kit);
      // An agent does not rate what it worked on, and these tests' agent speaks for all: but it may rate what it submitted.
      await kit.service.sql("update cams.tasks set submitted_by = 'agent' where task_id = $1", [params.taskId]);
      await kit.service.post(`/v1/tasks/${params.taskId}/complete`, { leaseToken });
      return { params, body: { rating: 4, comment: "a little late" } };
    },
    errors: {
      task_not_found: async () => ({ params: noTask, body: { rating: 4 } }),
      task_not_finished: async (kit) => ({ params: (await claimed(kit)).params, body: { rating: 4 } }),
    },
  },
  "tasks-get": {
    success: async (kit) => ({ params: (await claimed(kit)).params }),
    errors: { task_not_found: async () => ({ params: noTask }) },
  },
  "tasks-list": {
    success: async (kit) => {
      const { definitionId, agentId } = await agentOf(kit, {});
      await submitted(kit, { agentId });
      await submitted(kit, { agentId });
      const times = { after: "2026-01-01T00:00:00Z", before: "2999-01-01T00:00:00Z" };
      const filters = { agentId, definitionId, state: "SUBMITTED", type: "report", cause: "MANUAL" };
      return { query: { ...filters, ...times, pageSize: "1" } };
    },
    errors: {},
  },
};

/** Figures of a definition, one of whose tasks has come to its end. */
export const definitionMetrics: RoomCases = {
  "definitions-metrics": {
    success: async (kit) => {
      const { definitionId, agentId } = await agentOf(kit, {});
      const { taskId, leaseToken } = await kit.make.claimed({ agentId });
      await kit.service.post(`/v1/tasks/${taskId}/complete`, { leaseToken, usage: { tokens: 7 } });
      const times = { from: "2026-01-01T00:00:00Z", to: "2999-01-01T00:00:00Z" };
      return { params: { definitionId }, query: times };
    },
    errors: { definition_not_found: async () => ({ params: { definitionId: "nobody" } }) },
  },
};
