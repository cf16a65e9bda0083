import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { TaskCompletion, TaskEnded, TaskPath } from "../../shared/schemas/task.ts";

export const tasksComplete = defineEndpoint({
  name: "tasks-complete",
  method: "POST",
  path: "/v1/tasks/{taskId}/complete",
  summary: "Complete a task",
  description: "Safe to repeat: a token that completed it once does so again.",
  role: "agent",
  params: TaskPath,
  body: TaskCompletion,
  status: 200,
  returns: TaskEnded,
  errors: ["task_not_found", "task_finished", "lease_expired"],
  runtime: { maxInstances: 2, poolSize: 2 },
  handler: async ({ params, body, repo, services }) => {
    const ended = await repo.tasks.complete(params.taskId, body);
    services.metrics.task(ended.state);
    return ended;
  },
});
