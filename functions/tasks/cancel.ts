import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Task, TaskDecision, TaskPath } from "../../shared/schemas/task.ts";

export const tasksCancel = defineEndpoint({
  name: "tasks-cancel",
  method: "POST",
  path: "/v1/tasks/{taskId}/cancel",
  summary: "Cancel a task that has not come to its end",
  description:
    "By whoever sees it: who submitted it, its agent, operators of the team. Who works on it learns it at the next word. " +
    "What depends on it fails.",
  role: "agent",
  params: TaskPath,
  body: TaskDecision,
  status: 200,
  returns: Task,
  errors: ["task_not_found", "task_finished"],
  handler: async ({ params, body, repo, services }) => {
    const task = await repo.tasks.cancel(params.taskId, body.reason);
    services.metrics.task(task.state);
    return task;
  },
});
