import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Task, TaskPath } from "../../shared/schemas/task.ts";

export const tasksGet = defineEndpoint({
  name: "tasks-get",
  method: "GET",
  path: "/v1/tasks/{taskId}",
  summary: "Read a task, live or finished, with its attempts",
  role: "agent",
  params: TaskPath,
  status: 200,
  returns: Task,
  errors: ["task_not_found"],
  handler: ({ params, repo }) => repo.tasks.get(params.taskId),
});
