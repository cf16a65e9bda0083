import { defineAgentCommand } from "../../shared/http/agent-command.ts";

export const agentsPause = defineAgentCommand({
  verb: "pause",
  summary: "Pause an agent",
  description: "It claims nothing more, and goes on with what it works on; tasks may still be submitted to it.",
});
