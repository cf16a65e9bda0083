import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AgentFilter, AgentPage } from "../../shared/schemas/agent.ts";

export const agentsList = defineEndpoint({
  name: "agents-list",
  method: "GET",
  path: "/v1/agents",
  summary: "List agents, newest first",
  role: "agent",
  query: AgentFilter,
  status: 200,
  returns: AgentPage,
  errors: [],
  handler: ({ query, repo }) => repo.agents.list(query),
});
