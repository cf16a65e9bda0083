import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { MessageAccepted, MessageToSend } from "../../shared/schemas/message.ts";

export const messagesSend = defineEndpoint({
  name: "messages-send",
  method: "POST",
  path: "/v1/messages",
  summary: "Send a message to an address",
  description:
    "202 means that the message is committed: it will end as delivered, acknowledged, expired, cancelled or dead-lettered.",
  role: "agent",
  body: MessageToSend,
  status: 202,
  returns: MessageAccepted,
  location: (message) => `/v1/messages/${message.messageId}`,
  idempotent: true,
  errors: ["inbox_not_found", "inbox_inactive", "message_id_reused"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ body, repo, traceparent, replayed, services }) => {
    const sent = await repo.messages.send(body, traceparent);
    if (sent.replayed) replayed();
    else services.metrics.message("ACCEPTED");
    return sent.accepted;
  },
});
