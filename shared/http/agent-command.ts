import type { AgentVerb } from "../rules/agent-states.ts";
import { Agent, AgentCommand, AgentPath } from "../schemas/agent.ts";
import { defineEndpoint } from "./endpoint.ts";

interface Declared {
  verb: Exclude<AgentVerb, "stop" | "drain">;
  summary: string;
  description: string;
}

/** Declares an endpoint that leads an agent from one state to another. */
export function defineAgentCommand({ verb, summary, description }: Declared) {
  return defineEndpoint({
    name: `agents-${verb}`,
    method: "POST",
    path: `/v1/agents/{agentId}/${verb}`,
    summary,
    description: `${description} The agent is told by a message \`agent.${verb}\`.`,
    role: "agent",
    params: AgentPath,
    body: AgentCommand,
    status: 200,
    returns: Agent,
    errors: ["agent_not_found", "agent_transition_refused", "revision_mismatch"],
    handler: async ({ params, body, repo, ifMatch }) => {
      await repo.agents.command(params.agentId, verb, { ...body, revisions: ifMatch });
      return repo.agents.shown(params.agentId);
    },
  });
}
