import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Subscription, SubscriptionToCreate } from "../../shared/schemas/subscription.ts";

export const subscriptionsCreate = defineEndpoint({
  name: "subscriptions-create",
  method: "POST",
  path: "/v1/subscriptions",
  summary: "Subscribe an inbox or a definition to events",
  description:
    "Of each event that fits, an inbox gets a message and a definition a task in its pool, for any running agent of it. " +
    "Who subscribes an inbox acts for it, who subscribes a definition is of its team.",
  role: "agent",
  body: SubscriptionToCreate,
  status: 201,
  returns: Subscription,
  location: ({ subscriptionId }) => `/v1/subscriptions/${subscriptionId}`,
  idempotent: true,
  errors: [
    "inbox_not_found",
    "definition_not_found",
    "definition_kind_mismatch",
    "definition_retired",
    "too_many_subscriptions",
  ],
  handler: ({ body, repo }) => repo.subscriptions.create(body),
});
