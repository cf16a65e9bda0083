import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentPath, QuarantineOrder } from "../../shared/schemas/agent.ts";

export const agentsQuarantine = defineEndpoint({
  name: "agents-quarantine",
  method: "POST",
  path: "/v1/agents/{agentId}/quarantine",
  summary: "Quarantine an agent",
  description:
    "At once and until it is released it takes part in nothing: no message is handed out or delivered, no task claimed, and " +
    "what it holds returns. What is on its way to a webhook may still arrive, and is sent again after the release.",
  role: "operator",
  params: AgentPath,
  body: QuarantineOrder,
  status: 200,
  returns: Agent,
  errors: ["agent_not_found"],
  handler: async ({ params, body, repo }) => {
    await repo.quarantine.isolate(params.agentId, body.reason);
    return repo.agents.shown(params.agentId);
  },
});
