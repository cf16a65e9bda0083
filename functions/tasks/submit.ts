import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AgentPath } from "../../shared/schemas/agent.ts";
import { TaskSubmitted, TaskToSubmit } from "../../shared/schemas/task.ts";

export const tasksSubmit = defineEndpoint({
  name: "tasks-submit",
  method: "POST",
  path: "/v1/agents/{agentId}/tasks",
  summary: "Submit a task for one agent",
  description:
    "It waits in the agent's queue until the agent claims it, and is announced in its inbox (`task.submitted`) when it may " +
    "be claimed. A stopped or draining agent takes none. Where its definition asks for it (`approvalRequiredFor`), the task " +
    "first waits for an operator.",
  role: "agent",
  params: AgentPath,
  body: TaskToSubmit,
  status: 202,
  returns: TaskSubmitted,
  location: (task) => `/v1/tasks/${task.taskId}`,
  idempotent: true,
  errors: [
    "agent_not_found",
    "agent_not_running",
    "inbox_inactive",
    "queue_full",
    "task_not_found",
    "dependency_failed",
  ],
  runtime: { maxInstances: 2, poolSize: 2 },
  handler: async ({ params, body, repo, traceparent, services }) => {
    const submitted = await repo.tasks.submit(params.agentId, body, traceparent);
    services.metrics.task(submitted.state);
    return submitted;
  },
});
