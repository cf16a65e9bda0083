import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Schedule, SchedulePath, ScheduleQuery } from "../../shared/schemas/schedule.ts";

export const schedulesGet = defineEndpoint({
  name: "schedules-get",
  method: "GET",
  path: "/v1/schedules/{scheduleId}",
  summary: "Read a schedule, and when it will be due",
  role: "operator",
  params: SchedulePath,
  query: ScheduleQuery,
  status: 200,
  returns: Schedule,
  errors: ["schedule_not_found"],
  handler: ({ params, query, repo }) => repo.schedules.get(params.scheduleId, query.preview),
});
