import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Task, TaskFeedback, TaskPath } from "../../shared/schemas/task.ts";

export const tasksRate = defineEndpoint({
  name: "tasks-rate",
  method: "POST",
  path: "/v1/tasks/{taskId}/feedback",
  summary: "Rate what a finished task came to",
  description: "The last word counts. Not by who worked on it, unless it submitted it too.",
  role: "agent",
  params: TaskPath,
  body: TaskFeedback,
  status: 200,
  returns: Task,
  errors: ["task_not_found", "task_not_finished"],
  handler: ({ params, body, repo }) => repo.tasks.rate(params.taskId, body),
});
