import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";
import { Nack, Nacked } from "../../shared/schemas/message.ts";

export const messagesNack = defineEndpoint({
  name: "messages-nack",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/messages/nack",
  summary: "Give pulled messages back as failed",
  description:
    "Handed out again after min(300 s, 2^(n−1) s) ± 20 % or `retryAfterSeconds`; after the inbox's " +
    "`maxDeliveryAttempts` the message ends as a dead letter.",
  role: "agent",
  params: InboxPath,
  body: Nack,
  status: 200,
  returns: Nacked,
  errors: ["inbox_not_found"],
  handler: async ({ params, body, repo, services }) => {
    const answer = await repo.leases.fail(params.aiAgentAddress, body.leaseTokens, body.retryAfterSeconds, body.reason);
    services.metrics.message("DEAD_LETTERED", answer.deadLettered.length);
    return answer;
  },
});
