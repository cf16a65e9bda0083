import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentPath } from "../../shared/schemas/agent.ts";

export const agentsGet = defineEndpoint({
  name: "agents-get",
  method: "GET",
  path: "/v1/agents/{agentId}",
  summary: "Look an agent up",
  role: "agent",
  params: AgentPath,
  status: 200,
  returns: Agent,
  errors: ["agent_not_found"],
  handler: ({ params, repo }) => repo.agents.get(params.agentId),
});
