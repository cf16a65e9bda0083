import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Schedule, SchedulePath, ScheduleUpdate } from "../../shared/schemas/schedule.ts";

export const schedulesUpdate = defineEndpoint({
  name: "schedules-update",
  method: "PUT",
  path: "/v1/schedules/{scheduleId}",
  summary: "Change a schedule: only the fields given",
  description:
    "One that is enabled again, or whose times are others, is due from now on: nothing before counts as missed.",
  role: "operator",
  params: SchedulePath,
  body: ScheduleUpdate,
  status: 200,
  returns: Schedule,
  errors: ["schedule_not_found", "revision_mismatch"],
  handler: ({ params, body, repo, ifMatch }) => repo.schedules.update(params.scheduleId, body, ifMatch),
});
