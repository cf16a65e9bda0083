import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PageQuery } from "../../shared/schemas/common.ts";
import { SchedulePath, ScheduleRunPage } from "../../shared/schemas/schedule.ts";

export const schedulesRuns = defineEndpoint({
  name: "schedules-runs",
  method: "GET",
  path: "/v1/schedules/{scheduleId}/runs",
  summary: "List what became of each time of a schedule, newest first",
  role: "operator",
  params: SchedulePath,
  query: PageQuery,
  status: 200,
  returns: ScheduleRunPage,
  errors: ["schedule_not_found"],
  handler: ({ params, query, repo }) => repo.schedules.runs(params.scheduleId, query),
});
