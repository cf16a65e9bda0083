import { destinationRefused } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { pathSegment } from "../../shared/rules/paths.ts";
import { InboxRegistration, InboxWithSecret } from "../../shared/schemas/inbox.ts";
import { destinations } from "../../shared/services/destinations.ts";
import { secrets } from "../../shared/services/secrets.ts";

export const inboxesRegister = defineEndpoint({
  name: "inboxes-register",
  method: "POST",
  path: "/v1/agent-inboxes",
  summary: "Register the inbox of an agent",
  description:
    "A taken address is refused and nothing of it changes: an agent that starts again with other settings updates them. " +
    "The answer for a webhook carries the `secret` that signs its calls, this once.",
  role: "agent",
  body: InboxRegistration,
  status: 201,
  returns: InboxWithSecret,
  location: (inbox) => `/v1/agent-inboxes/${pathSegment(inbox.aiAgentAddress)}`,
  idempotent: true,
  shownOnce: ["secret"],
  errors: ["inbox_exists"],
  needs: { destinations, secrets },
  check: async ({ body, services }) => {
    if (body.inboxDestinationType !== "HTTP_ENDPOINT" || body.inboxName === undefined) return;
    const fault = await services.destinations.faultOf(body.inboxName);
    if (fault) throw destinationRefused(fault);
  },
  handler: async ({ body, repo, services }) => {
    if (body.inboxDestinationType !== "HTTP_ENDPOINT") return repo.inboxes.register(body);
    const { secret, sealed } = services.secrets.make(body.aiAgentAddress);
    return { ...(await repo.inboxes.register(body, sealed)), secret };
  },
});
