import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { SubscriptionPath } from "../../shared/schemas/subscription.ts";

export const subscriptionsDelete = defineEndpoint({
  name: "subscriptions-delete",
  method: "DELETE",
  path: "/v1/subscriptions/{subscriptionId}",
  summary: "End a subscription",
  description: "What events have made of it stays. The triggers of a definition go with the version that has them.",
  role: "agent",
  params: SubscriptionPath,
  status: 204,
  errors: ["subscription_not_found", "subscription_of_definition", "revision_mismatch"],
  handler: ({ params, repo, ifMatch }) => repo.subscriptions.delete(params.subscriptionId, ifMatch),
});
