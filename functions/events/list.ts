import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { EventFilter, EventPage } from "../../shared/schemas/event.ts";

export const eventsList = defineEndpoint({
  name: "events-list",
  method: "GET",
  path: "/v1/events",
  summary: "List events, newest first",
  role: "agent",
  query: EventFilter,
  status: 200,
  returns: EventPage,
  errors: [],
  handler: ({ query, repo }) => repo.events.list(query),
});
