import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AgentPath } from "../../shared/schemas/agent.ts";

export const agentsDelete = defineEndpoint({
  name: "agents-delete",
  method: "DELETE",
  path: "/v1/agents/{agentId}",
  summary: "Delete an agent that is not running",
  description: "Its inbox stays, its history stays readable, and tasks that wait for it end.",
  role: "agent",
  params: AgentPath,
  status: 204,
  errors: ["agent_not_found", "agent_running", "revision_mismatch"],
  handler: ({ params, repo, ifMatch }) => repo.agents.delete(params.agentId, ifMatch),
});
