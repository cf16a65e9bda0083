import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { ScheduleFilter, SchedulePage } from "../../shared/schemas/schedule.ts";

export const schedulesList = defineEndpoint({
  name: "schedules-list",
  method: "GET",
  path: "/v1/schedules",
  summary: "List schedules, newest first",
  role: "operator",
  query: ScheduleFilter,
  status: 200,
  returns: SchedulePage,
  errors: [],
  handler: ({ query, repo }) => repo.schedules.list(query),
});
