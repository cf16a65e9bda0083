import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Agent, AgentRegistration } from "../../shared/schemas/agent.ts";

export const agentsRegister = defineEndpoint({
  name: "agents-register",
  method: "POST",
  path: "/v1/agents",
  summary: "Register an agent",
  description: "With its inbox, when there is none at its address: a `PULL_QUEUE`.",
  role: "agent",
  body: AgentRegistration,
  status: 201,
  returns: Agent,
  location: ({ id }) => `/v1/agents/${id}`,
  idempotent: true,
  errors: [
    "agent_exists",
    "definition_not_found",
    "version_not_found",
    "version_not_published",
    "definition_kind_mismatch",
    "definition_retired",
  ],
  handler: async ({ body, repo }) => repo.agents.shown(await repo.agents.register(body)),
});
