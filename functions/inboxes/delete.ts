import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";

export const inboxesDelete = defineEndpoint({
  name: "inboxes-delete",
  method: "DELETE",
  path: "/v1/agent-inboxes/{aiAgentAddress}",
  summary: "Delete an inbox",
  description:
    "What is still queued ends as dead letters with the reason `inbox_deleted`; history stays readable. While an agent is " +
    "reached by it, it stays; while it is quarantined, only its team's operators delete it.",
  role: "agent",
  params: InboxPath,
  status: 204,
  errors: ["inbox_not_found", "inbox_in_use", "revision_mismatch"],
  handler: ({ params, repo, ifMatch }) => repo.inboxes.delete(params.aiAgentAddress, ifMatch),
});
