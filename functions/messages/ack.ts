import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";
import { Ack, Acked } from "../../shared/schemas/message.ts";

export const messagesAck = defineEndpoint({
  name: "messages-ack",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/messages/ack",
  summary: "Acknowledge pulled messages: they are done",
  description: "Safe to repeat: a token that acknowledged once does so again.",
  role: "agent",
  params: InboxPath,
  body: Ack,
  status: 200,
  returns: Acked,
  errors: ["inbox_not_found"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ params, body, repo, services }) => {
    const answer = await repo.leases.acknowledge(params.aiAgentAddress, body.leaseTokens);
    services.metrics.message("ACKNOWLEDGED", answer.acknowledged.length);
    return answer;
  },
});
