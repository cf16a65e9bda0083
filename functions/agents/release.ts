import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentPath, QuarantineOrder } from "../../shared/schemas/agent.ts";

export const agentsRelease = defineEndpoint({
  name: "agents-release",
  method: "POST",
  path: "/v1/agents/{agentId}/release",
  summary: "Release an agent from quarantine",
  description: "It goes on in the state it was in. The agent is told by a message `agent.release`.",
  role: "operator",
  params: AgentPath,
  body: QuarantineOrder,
  status: 200,
  returns: Agent,
  errors: ["agent_not_found"],
  handler: async ({ params, body, repo }) => {
    await repo.quarantine.release(params.agentId, body.reason);
    return repo.agents.shown(params.agentId);
  },
});
