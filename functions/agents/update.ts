import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentPath, AgentUpdate } from "../../shared/schemas/agent.ts";

export const agentsUpdate = defineEndpoint({
  name: "agents-update",
  method: "PUT",
  path: "/v1/agents/{agentId}",
  summary: "Change an agent: only the fields given",
  description:
    "`config` field by field; `metadata`, `tags` and `capabilities` whole. Its state is changed by commands.",
  role: "agent",
  params: AgentPath,
  body: AgentUpdate,
  status: 200,
  returns: Agent,
  errors: [
    "agent_not_found",
    "definition_not_found",
    "version_not_found",
    "version_not_published",
    "definition_kind_mismatch",
    "definition_retired",
    "revision_mismatch",
  ],
  handler: async ({ params, body, repo, ifMatch }) => {
    await repo.agents.update(params.agentId, body, ifMatch);
    return repo.agents.shown(params.agentId);
  },
});
