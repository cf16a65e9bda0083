import { Problem } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Inbox, InboxPath, InboxUpdate } from "../../shared/schemas/inbox.ts";

export const inboxesUpdate = defineEndpoint({
  name: "inboxes-update",
  method: "PUT",
  path: "/v1/agent-inboxes/{aiAgentAddress}",
  summary: "Change an inbox: only the fields given",
  description: "Undelivered messages follow a changed destination.",
  role: "agent",
  params: InboxPath,
  body: InboxUpdate,
  status: 200,
  returns: Inbox,
  errors: ["inbox_not_found", "revision_mismatch"],
  handler: async ({ params, body, repo, caller, ifMatch }) => {
    if (body.aiAgentAddress !== undefined && body.aiAgentAddress !== params.aiAgentAddress) {
      const errors = [{ pointer: "/aiAgentAddress", message: "must be the address of the path" }];
      throw new Problem("invalid_request", "An address cannot be changed.", { errors });
    }
    return repo.inboxes.update(params.aiAgentAddress, body, caller.principal, ifMatch);
  },
});
