import * as z from "zod";
import { defineEndpoint } from "../../shared/http/endpoint.ts";

export const systemMetrics = defineEndpoint({
  name: "system-metrics",
  method: "GET",
  path: "/metrics",
  summary: "Read this process's metrics (Prometheus text)",
  role: "operator",
  status: 200,
  returns: z.string(),
  contentType: "text/plain; version=0.0.4; charset=utf-8",
  errors: [],
  handler: async ({ repo, services }) => {
    const [{ pending, oldestAgeSeconds }, heldBack] = await Promise.all([
      repo.messages.backlog(),
      repo.events.heldBackSeconds(),
    ]);
    services.metrics.inboxBacklog(pending);
    services.metrics.oldestMessageAge(oldestAgeSeconds);
    services.metrics.eventsHeldBack(heldBack);
    return services.metrics.render();
  },
});
