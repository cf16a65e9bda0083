import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Schedule, ScheduleToCreate } from "../../shared/schemas/schedule.ts";

export const schedulesCreate = defineEndpoint({
  name: "schedules-create",
  method: "POST",
  path: "/v1/schedules",
  summary: "Publish an event by the clock, again and again or once",
  description: "It belongs to the caller's team.",
  role: "operator",
  body: ScheduleToCreate,
  status: 201,
  returns: Schedule,
  location: ({ scheduleId }) => `/v1/schedules/${scheduleId}`,
  idempotent: true,
  errors: [],
  handler: ({ body, repo }) => repo.schedules.create(body),
});
