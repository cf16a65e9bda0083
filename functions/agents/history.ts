import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AgentHistoryPage, AgentPath } from "../../shared/schemas/agent.ts";
import { PageQuery } from "../../shared/schemas/common.ts";

export const agentsHistory = defineEndpoint({
  name: "agents-history",
  method: "GET",
  path: "/v1/agents/{agentId}/history",
  summary: "List an agent's changes of state, newest first",
  description: "For those who act for it; also when it was deleted.",
  role: "agent",
  params: AgentPath,
  query: PageQuery,
  status: 200,
  returns: AgentHistoryPage,
  errors: ["agent_not_found"],
  handler: ({ params, query, repo }) => repo.agents.history(params.agentId, query),
});
