import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";
import { Redrive, Redriven } from "../../shared/schemas/message.ts";

export const messagesRedrive = defineEndpoint({
  name: "messages-redrive",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/messages/redrive",
  summary: "Make dead letters of an inbox live again",
  description:
    "In their order of arrival, with all their attempts ahead of them and as much time to live as they were sent with. " +
    "Their ids stay, and so do their receipts. Ids that are no dead letters of this inbox are passed over.",
  role: "operator",
  params: InboxPath,
  body: Redrive,
  status: 200,
  returns: Redriven,
  errors: ["inbox_not_found"],
  handler: async ({ params, body, repo, services }) => {
    const redriven = await repo.messages.redrive(params.aiAgentAddress, body.messageIds);
    services.metrics.message("REDRIVEN", redriven);
    return { redriven };
  },
});
