import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath, RotatedSecret } from "../../shared/schemas/inbox.ts";
import { secrets } from "../../shared/services/secrets.ts";

export const inboxesRotateSecret = defineEndpoint({
  name: "inboxes-rotate-secret",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/rotate-secret",
  summary: "Give a webhook a new signing secret, shown this once",
  description: "For 24 hours the secret before it signs too, so that the receiver can change over without a gap.",
  role: "agent",
  params: InboxPath,
  status: 200,
  returns: RotatedSecret,
  errors: ["inbox_not_found", "inbox_not_webhook", "revision_mismatch"],
  needs: { secrets },
  handler: async ({ params, repo, ifMatch, services }) => {
    const { secret, sealed } = services.secrets.make(params.aiAgentAddress);
    await repo.inboxes.rotateSecret(params.aiAgentAddress, sealed, ifMatch);
    return { secret };
  },
});
