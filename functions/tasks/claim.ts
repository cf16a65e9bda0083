import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { agentTasksTopic, poolTopic } from "../../shared/rules/topics.ts";
import { AgentPath } from "../../shared/schemas/agent.ts";
import { TaskClaim, TasksClaimed } from "../../shared/schemas/task.ts";

/** How often a claim looks again at once when others held all that there was. */
const TRIES = 3;

export const tasksClaim = defineEndpoint({
  name: "tasks-claim",
  method: "POST",
  path: "/v1/agents/{agentId}/tasks/claim",
  summary: "Claim tasks for an agent, each with a lease",
  description:
    "From its own queue and from its definition's pool, by priority with ageing, then arrival; as many as it has room for " +
    "(`maxConcurrentTasks`, its definition's `maxParallelTasks`). A lease that runs out puts the task back after a back-off. " +
    "With `waitSeconds` the answer comes as soon as there is a task.",
  role: "agent",
  params: AgentPath,
  body: TaskClaim,
  status: 200,
  returns: TasksClaimed,
  errors: ["agent_not_found", "agent_not_running", "inbox_inactive", "definition_disabled", "budget_exhausted"],
  runtime: { concurrency: 500, maxInstances: 3, poolSize: 2, listens: true },
  handler: async ({ params, body, repo, signal, wait, services }) => {
    const { agentId } = params;
    const topics = [agentTasksTopic(agentId)];
    const tasks = await wait(
      () => topics,
      body.waitSeconds,
      async () => {
        for (let tries = 0; tries < TRIES; tries++) {
          const { tasks, boundTo, contended } = await repo.tasks.claim(agentId, body);
          if (boundTo !== undefined && topics.length === 1) topics.push(poolTopic(boundTo));
          if (tasks.length > 0) return tasks;
          if (!contended) break;
        }
        return undefined;
      },
    );
    if (tasks === undefined) return { tasks: [] };
    if (signal.aborted) {
      // Whoever asked is gone: the next claim need not wait for these leases to run out.
      await repo.tasks.giveBack(tasks);
      return { tasks: [] };
    }
    services.metrics.task("WORKING", tasks.length);
    return { tasks };
  },
});
