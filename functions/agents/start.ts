import { defineAgentCommand } from "../../shared/http/agent-command.ts";

export const agentsStart = defineAgentCommand({
  verb: "start",
  summary: "Start an agent",
  description: "One that was made, stopped or has failed: it may claim tasks from now on.",
});
