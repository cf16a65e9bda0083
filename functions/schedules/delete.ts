import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { SchedulePath } from "../../shared/schemas/schedule.ts";

export const schedulesDelete = defineEndpoint({
  name: "schedules-delete",
  method: "DELETE",
  path: "/v1/schedules/{scheduleId}",
  summary: "Delete a schedule and the records of its runs",
  description: "The events that it has published stay.",
  role: "operator",
  params: SchedulePath,
  status: 204,
  errors: ["schedule_not_found", "revision_mismatch"],
  handler: ({ params, repo, ifMatch }) => repo.schedules.delete(params.scheduleId, ifMatch),
});
