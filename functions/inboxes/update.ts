import { destinationRefused, Problem } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath, InboxUpdate, InboxWithSecret } from "../../shared/schemas/inbox.ts";
import { destinations } from "../../shared/services/destinations.ts";
import { secrets } from "../../shared/services/secrets.ts";

export const inboxesUpdate = defineEndpoint({
  name: "inboxes-update",
  method: "PUT",
  path: "/v1/agent-inboxes/{aiAgentAddress}",
  summary: "Change an inbox: only the fields given",
  description:
    "Undelivered messages follow a changed destination. The answer to what first makes it a webhook carries its `secret`.",
  role: "agent",
  params: InboxPath,
  body: InboxUpdate,
  status: 200,
  returns: InboxWithSecret,
  errors: ["inbox_not_found", "revision_mismatch"],
  needs: { destinations, secrets },
  handler: async ({ params, body, repo, ifMatch, services }) => {
    if (body.aiAgentAddress !== undefined && body.aiAgentAddress !== params.aiAgentAddress) {
      const errors = [{ pointer: "/aiAgentAddress", message: "must be the address of the path" }];
      throw new Problem("invalid_request", "An address cannot be changed.", { errors });
    }
    const address = params.aiAgentAddress;
    const change = (on: typeof repo) => on.inboxes.update(address, body, ifMatch);
    if (body.inboxName === undefined && body.inboxDestinationType === undefined) return change(repo);

    const { faultOf, faultByForm } = services.destinations;
    const fault = body.inboxName && URL.canParse(body.inboxName) ? await faultOf(body.inboxName) : undefined;
    return repo.transaction(async (repo) => {
      const inbox = await change(repo);
      if (inbox.inboxDestinationType !== "HTTP_ENDPOINT") return inbox;
      // Only now it is known what the name is: either of the two may have been there before.
      const refused = fault ?? faultByForm(inbox.inboxName ?? "");
      if (refused) throw destinationRefused(refused);
      const { secret, sealed } = services.secrets.make(address);
      return (await repo.inboxes.keepSecret(address, sealed)) ? { ...inbox, secret } : inbox;
    });
  },
});
