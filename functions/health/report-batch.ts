import { inboxNotFound, Problem } from "../../shared/errors.ts";
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
    for (const [address, result] of reported)
      if (!(result instanceof Problem)) services.metrics.healthReport(last.get(address)?.status ?? "");
    return {
      results: body.reports.map(({ aiAgentAddress }) => {
        const result = reported.get(aiAgentAddress) ?? inboxNotFound(aiAgentAddress);
        if (result instanceof Problem) return { aiAgentAddress, problem: result.toItem() };
        const { timestamp: _, aiAgentAddress: __, ...inbox } = result;
        return { aiAgentAddress, inbox };
      }),
    };
  },
});
