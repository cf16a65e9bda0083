import { defineEndpoint, pathSegment } from "../../shared/http/endpoint.ts";
import { Inbox, InboxRegistration } from "../../shared/schemas/inbox.ts";

export const inboxesRegister = defineEndpoint({
  name: "inboxes-register",
  method: "POST",
  path: "/v1/agent-inboxes",
  summary: "Register the inbox of an agent",
  description:
    "A taken address is refused and nothing of it changes: an agent that starts again with other settings updates them.",
  role: "agent",
  body: InboxRegistration,
  status: 201,
  returns: Inbox,
  location: (inbox) => `/v1/agent-inboxes/${pathSegment(inbox.aiAgentAddress)}`,
  idempotent: true,
  errors: ["inbox_exists"],
  handler: ({ body, repo, caller }) => repo.inboxes.register(body, caller.principal),
});
