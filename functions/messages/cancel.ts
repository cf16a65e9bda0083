import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Message, MessagePath } from "../../shared/schemas/message.ts";

export const messagesCancel = defineEndpoint({
  name: "messages-cancel",
  method: "POST",
  path: "/v1/messages/{messageId}/cancel",
  summary: "Cancel a message that has not come to its end",
  role: "agent",
  params: MessagePath,
  status: 200,
  returns: Message,
  errors: ["message_not_found", "message_finished"],
  handler: async ({ params, repo, services }) => {
    const message = await repo.messages.cancel(params.messageId);
    services.metrics.message("CANCELLED");
    return message;
  },
});
