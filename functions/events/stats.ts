import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { EventStats, EventStatsQuery } from "../../shared/schemas/event.ts";

export const eventsStats = defineEndpoint({
  name: "events-stats",
  method: "GET",
  path: "/v1/events/stats",
  summary: "Count events, and how soon they reach their subscribers",
  role: "agent",
  query: EventStatsQuery,
  status: 200,
  returns: EventStats,
  errors: [],
  handler: ({ query, repo }) => repo.events.stats(query.from),
});
