import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { SchedulePath, ScheduleStarted } from "../../shared/schemas/schedule.ts";

export const schedulesRun = defineEndpoint({
  name: "schedules-run",
  method: "POST",
  path: "/v1/schedules/{scheduleId}/run",
  summary: "Publish a schedule's event now",
  description: "Whatever its times are, and whether or not it is enabled; when it is due next stays as it was.",
  role: "operator",
  params: SchedulePath,
  status: 202,
  returns: ScheduleStarted,
  location: ({ eventId }) => `/v1/events/${eventId}`,
  idempotent: true,
  errors: ["schedule_not_found"],
  handler: ({ params, repo, traceparent }) => repo.schedules.run(params.scheduleId, traceparent),
});
