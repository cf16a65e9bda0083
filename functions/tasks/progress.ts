import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { TaskPath, TaskReport, TaskReported } from "../../shared/schemas/task.ts";

export const tasksProgress = defineEndpoint({
  name: "tasks-progress",
  method: "POST",
  path: "/v1/tasks/{taskId}/progress",
  summary: "Say how far a task has come, and renew its lease",
  description: "Never beyond `deadlineAt`, when the attempt has taken as long as it may.",
  role: "agent",
  params: TaskPath,
  body: TaskReport,
  status: 200,
  returns: TaskReported,
  errors: ["task_not_found", "task_finished", "lease_expired"],
  runtime: { maxInstances: 2, poolSize: 2 },
  handler: ({ params, body, repo }) => repo.tasks.progress(params.taskId, body),
});
