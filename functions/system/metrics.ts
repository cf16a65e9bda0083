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
    const { pending, oldestAgeSeconds } = await repo.messages.backlog();
    services.metrics.inboxBacklog(pending);
    services.metrics.oldestMessageAge(oldestAgeSeconds);
    services.metrics.eventsHeldBack(await repo.events.heldBackSeconds());
    return services.metrics.render();
  },
});
