import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Message, MessagePath } from "../../shared/schemas/message.ts";

export const messagesGet = defineEndpoint({
  name: "messages-get",
  method: "GET",
  path: "/v1/messages/{messageId}",
  summary: "Read a message, its attempts and its timeline",
  role: "agent",
  params: MessagePath,
  status: 200,
  returns: Message,
  errors: ["message_not_found"],
  handler: ({ params, repo }) => repo.messages.get(params.messageId),
});
