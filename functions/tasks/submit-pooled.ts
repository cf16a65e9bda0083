import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionPath } from "../../shared/schemas/definition.ts";
import { TaskSubmitted, TaskToSubmit } from "../../shared/schemas/task.ts";

export const tasksSubmitPooled = defineEndpoint({
  name: "tasks-submit-pooled",
  method: "POST",
  path: "/v1/definitions/{definitionId}/tasks",
  summary: "Submit a task into a definition's pool",
  description:
    "Any running agent of the definition may claim it; while none runs, it waits. Where the definition asks for it " +
    "(`approvalRequiredFor`), the task first waits for an operator.",
  role: "agent",
  params: DefinitionPath,
  body: TaskToSubmit,
  status: 202,
  returns: TaskSubmitted,
  location: (task) => `/v1/tasks/${task.taskId}`,
  idempotent: true,
  errors: [
    "definition_not_found",
    "definition_kind_mismatch",
    "definition_retired",
    "version_not_found",
    "definition_disabled",
    "task_not_found",
    "dependency_failed",
    "queue_full",
  ],
  runtime: { maxInstances: 2, poolSize: 2 },
  handler: async ({ params, body, repo, traceparent, services }) => {
    const submitted = await repo.tasks.submitPooled(params.definitionId, body, traceparent);
    services.metrics.task(submitted.state);
    return submitted;
  },
});
