import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { MessageFilter, MessagePage } from "../../shared/schemas/message.ts";

export const messagesList = defineEndpoint({
  name: "messages-list",
  method: "GET",
  path: "/v1/messages",
  summary: "List messages, live and finished, newest first",
  role: "agent",
  query: MessageFilter,
  status: 200,
  returns: MessagePage,
  errors: [],
  handler: ({ query, repo }) => repo.messages.list(query),
});
