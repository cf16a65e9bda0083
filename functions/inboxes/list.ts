import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { InboxFilter, InboxPage } from "../../shared/schemas/inbox.ts";

export const inboxesList = defineEndpoint({
  name: "inboxes-list",
  method: "GET",
  path: "/v1/agent-inboxes",
  summary: "List inboxes, newest first",
  role: "agent",
  query: InboxFilter,
  status: 200,
  returns: InboxPage,
  errors: [],
  handler: ({ query, repo }) => repo.inboxes.list(query),
});
