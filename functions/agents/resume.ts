import { defineAgentCommand } from "../../shared/http/agent-command.ts";

export const agentsResume = defineAgentCommand({
  verb: "resume",
  summary: "Resume an agent that is paused",
  description: "It may claim tasks again.",
});
