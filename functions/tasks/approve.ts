import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Task, TaskDecision, TaskPath } from "../../shared/schemas/task.ts";

export const tasksApprove = defineEndpoint({
  name: "tasks-approve",
  method: "POST",
  path: "/v1/tasks/{taskId}/approve",
  summary: "Let a task go on that waits for an approval",
  role: "operator",
  params: TaskPath,
  body: TaskDecision,
  status: 200,
  returns: Task,
  errors: ["task_not_found", "approval_decided"],
  handler: ({ params, body, repo }) => repo.tasks.approve(params.taskId, body.reason),
});
