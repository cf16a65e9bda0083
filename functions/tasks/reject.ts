import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Task, TaskDecision, TaskPath } from "../../shared/schemas/task.ts";

export const tasksReject = defineEndpoint({
  name: "tasks-reject",
  method: "POST",
  path: "/v1/tasks/{taskId}/reject",
  summary: "End a task that waits for an approval",
  description: "What depends on it fails.",
  role: "operator",
  params: TaskPath,
  body: TaskDecision,
  status: 200,
  returns: Task,
  errors: ["task_not_found", "approval_decided"],
  handler: async ({ params, body, repo, services }) => {
    const task = await repo.tasks.reject(params.taskId, body.reason);
    services.metrics.task(task.state);
    return task;
  },
});
