import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentPath, AgentStop } from "../../shared/schemas/agent.ts";

export const agentsStop = defineEndpoint({
  name: "agents-stop",
  method: "POST",
  path: "/v1/agents/{agentId}/stop",
  summary: "Stop an agent",
  description:
    "What it works on returns to its queue. With `drain` it ends that first and claims nothing more: it is `DRAINING`, and " +
    "`STOPPED` as soon as nothing is left. The agent is told by messages `agent.stop`.",
  role: "agent",
  params: AgentPath,
  body: AgentStop,
  status: 200,
  returns: Agent,
  errors: ["agent_not_found", "agent_transition_refused", "revision_mismatch"],
  handler: async ({ params, body: { drain, reason }, repo, ifMatch }) => {
    await repo.agents.command(params.agentId, drain ? "drain" : "stop", { reason, revisions: ifMatch });
    return repo.agents.shown(params.agentId);
  },
});
