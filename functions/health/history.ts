import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PageQuery } from "../../shared/schemas/common.ts";
import { HealthHistoryPage } from "../../shared/schemas/health.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";

export const healthHistory = defineEndpoint({
  name: "health-history",
  method: "GET",
  path: "/v1/agent-inboxes/{aiAgentAddress}/health-history",
  summary: "Read every change of an inbox's health or status, newest first",
  role: "agent",
  params: InboxPath,
  query: PageQuery,
  status: 200,
  returns: HealthHistoryPage,
  errors: ["inbox_not_found"],
  handler: ({ params, query, repo }) => repo.health.history(params.aiAgentAddress, query),
});
