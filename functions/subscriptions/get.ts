import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Subscription, SubscriptionPath } from "../../shared/schemas/subscription.ts";

export const subscriptionsGet = defineEndpoint({
  name: "subscriptions-get",
  method: "GET",
  path: "/v1/subscriptions/{subscriptionId}",
  summary: "Read a subscription",
  role: "agent",
  params: SubscriptionPath,
  status: 200,
  returns: Subscription,
  revalidates: true,
  errors: ["subscription_not_found"],
  handler: ({ params, repo }) => repo.subscriptions.get(params.subscriptionId),
});
