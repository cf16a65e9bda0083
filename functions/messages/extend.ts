import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";
import { Extend, Extended } from "../../shared/schemas/message.ts";

export const messagesExtend = defineEndpoint({
  name: "messages-extend",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/messages/extend",
  summary: "Keep pulled messages longer",
  description: "The leases last `leaseSeconds` from now.",
  role: "agent",
  params: InboxPath,
  body: Extend,
  status: 200,
  returns: Extended,
  errors: ["inbox_not_found"],
  handler: ({ params, body, repo }) => repo.leases.extend(params.aiAgentAddress, body.leaseTokens, body.leaseSeconds),
});
