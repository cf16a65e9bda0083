import { inboxNotFound } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { HealthReportBatch, HealthReportedBatch } from "../../shared/schemas/health.ts";

export const healthReportBatch = defineEndpoint({
  name: "health-report-batch",
  method: "POST",
  path: "/v1/agent-health-check/batch",
  summary: "Report the health of several agents, each with its own result",
  description: "Of several reports for one address the last counts.",
  role: "agent",
  body: HealthReportBatch,
  status: 200,
  returns: HealthReportedBatch,
  errors: [],
  handler: async ({ body, repo, services }) => {
    const last = new Map(body.reports.map((report) => [report.aiAgentAddress, report]));
    const reported = await repo.health.report([...last.values()]);
    for (const { aiAgentAddress } of reported) services.metrics.healthReport(last.get(aiAgentAddress)?.status ?? "");
    const found = new Map(reported.map(({ aiAgentAddress, timestamp: _, ...inbox }) => [aiAgentAddress, inbox]));
    return {
      results: body.reports.map(({ aiAgentAddress }) => {
        const inbox = found.get(aiAgentAddress);
        if (inbox) return { aiAgentAddress, inbox };
        return { aiAgentAddress, problem: inboxNotFound(aiAgentAddress).toItem() };
      }),
    };
  },
});
