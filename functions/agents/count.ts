import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AgentCount, AgentCountFilter } from "../../shared/schemas/agent.ts";

export const agentsCount = defineEndpoint({
  name: "agents-count",
  method: "GET",
  path: "/v1/agents/count",
  summary: "Count agents by state, type and health",
  role: "agent",
  query: AgentCountFilter,
  status: 200,
  returns: AgentCount,
  errors: [],
  handler: ({ query, repo }) => repo.agents.count(query),
});
