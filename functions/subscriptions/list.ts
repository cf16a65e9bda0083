import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { SubscriptionFilter, SubscriptionPage } from "../../shared/schemas/subscription.ts";

export const subscriptionsList = defineEndpoint({
  name: "subscriptions-list",
  method: "GET",
  path: "/v1/subscriptions",
  summary: "List subscriptions, newest first",
  role: "agent",
  query: SubscriptionFilter,
  status: 200,
  returns: SubscriptionPage,
  errors: [],
  handler: ({ query, repo }) => repo.subscriptions.list(query),
});
