import { Problem } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { MessageBatch, MessageBatchSent } from "../../shared/schemas/message.ts";

export const messagesSendBatch = defineEndpoint({
  name: "messages-send-batch",
  method: "POST",
  path: "/v1/messages/batch",
  summary: "Send up to 500 messages at once, each with its own result",
  description:
    "Results stand in the order given, and so do arrivals. One message's refusal (inbox_not_found, inbox_inactive, message_id_reused) keeps no other back.",
  role: "agent",
  body: MessageBatch,
  status: 200,
  returns: MessageBatchSent,
  idempotent: true,
  errors: [],
  handler: async ({ body, repo, traceparent, services }) => {
    const sent = await repo.messages.sendBatch(body.messages, traceparent);
    const results = sent.map((item) => {
      if (item instanceof Problem) return { problem: item.toItem() };
      return item.replayed ? { ...item.accepted, replayed: true as const } : item.accepted;
    });
    services.metrics.message("ACCEPTED", sent.filter((item) => !(item instanceof Problem || item.replayed)).length);
    return { results };
  },
});
