import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { TaskFilter, TaskPage } from "../../shared/schemas/task.ts";

export const tasksList = defineEndpoint({
  name: "tasks-list",
  method: "GET",
  path: "/v1/tasks",
  summary: "List tasks, live and finished, newest first",
  description:
    "What the caller submitted, what is its agents', and for operators what their team's definitions are for.",
  role: "agent",
  query: TaskFilter,
  status: 200,
  returns: TaskPage,
  errors: [],
  handler: ({ query, repo }) => repo.tasks.list(query),
});
