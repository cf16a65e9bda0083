import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { TaskEnded, TaskFailure, TaskPath } from "../../shared/schemas/task.ts";

export const tasksFail = defineEndpoint({
  name: "tasks-fail",
  method: "POST",
  path: "/v1/tasks/{taskId}/fail",
  summary: "End an attempt at a task as failed",
  description:
    "Claimed again after min(300 s, 2^(n−1) s) ± 20 % or `retryAfterSeconds`; `FAILED` after `maxAttempts`, when it is not " +
    "`retryable`, or where the definition has `autoRetry: false`.",
  role: "agent",
  params: TaskPath,
  body: TaskFailure,
  status: 200,
  returns: TaskEnded,
  errors: ["task_not_found", "task_finished", "lease_expired"],
  handler: async ({ params, body, repo, services }) => {
    const ended = await repo.tasks.fail(params.taskId, body);
    services.metrics.task(ended.state);
    return ended;
  },
});
