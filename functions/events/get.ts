import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Event, EventPath } from "../../shared/schemas/event.ts";

export const eventsGet = defineEndpoint({
  name: "events-get",
  method: "GET",
  path: "/v1/events/{eventId}",
  summary: "Read an event",
  role: "agent",
  params: EventPath,
  status: 200,
  returns: Event,
  errors: ["event_not_found"],
  handler: ({ params, repo }) => repo.events.get(params.eventId),
});
