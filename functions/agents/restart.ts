import { defineAgentCommand } from "../../shared/http/agent-command.ts";

export const agentsRestart = defineAgentCommand({
  verb: "restart",
  summary: "Stop an agent and start it again, at once",
  description: "What it works on returns to its queue.",
});
