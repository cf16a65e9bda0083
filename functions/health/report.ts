import { inboxNotFound, Problem } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { HealthReport, HealthReported } from "../../shared/schemas/health.ts";

export const healthReport = defineEndpoint({
  name: "health-report",
  method: "POST",
  path: "/v1/agent-health-check",
  summary: "Report an agent's own health",
  description:
    "`UNHEALTHY` takes the inbox out of routing at once, `HEALTHY` brings it back, but never overrules an operator. " +
    "After a first report the next is expected every `heartbeatIntervalSeconds`, or within `nextReportInSeconds`.",
  role: "agent",
  body: HealthReport,
  status: 200,
  returns: HealthReported,
  errors: ["inbox_not_found"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ body, repo, services }) => {
    const [reported = inboxNotFound(body.aiAgentAddress)] = (await repo.health.report([body])).values();
    if (reported instanceof Problem) throw reported;
    services.metrics.healthReport(body.status);
    const { aiAgentAddress, timestamp, ...inbox } = reported;
    return { status: "success" as const, message: `${aiAgentAddress} is ${inbox.healthStatus}`, timestamp, inbox };
  },
});
