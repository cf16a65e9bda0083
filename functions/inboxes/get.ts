import { inboxNotFound } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath, InboxWithBacklog } from "../../shared/schemas/inbox.ts";

export const inboxesGet = defineEndpoint({
  name: "inboxes-get",
  method: "GET",
  path: "/v1/agent-inboxes/{aiAgentAddress}",
  summary: "Look an inbox up",
  role: "agent",
  params: InboxPath,
  status: 200,
  returns: InboxWithBacklog,
  errors: ["inbox_not_found"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ params, repo, services }) => {
    const inbox = await repo.inboxes.find(params.aiAgentAddress);
    services.metrics.lookup(!inbox ? "not_found" : inbox.status === "ACTIVE" ? "found" : "inactive");
    if (!inbox) throw inboxNotFound(params.aiAgentAddress);
    return inbox;
  },
});
