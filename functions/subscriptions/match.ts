import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PlainEvent } from "../../shared/schemas/event.ts";
import { SubscriptionMatches } from "../../shared/schemas/subscription.ts";

export const subscriptionsMatch = defineEndpoint({
  name: "subscriptions-match",
  method: "POST",
  path: "/v1/subscriptions/match",
  summary: "Ask who would get an event, and why",
  description: "Nothing is published.",
  role: "agent",
  body: PlainEvent,
  status: 200,
  returns: SubscriptionMatches,
  errors: [],
  handler: async ({ body, repo }) => {
    const event = { type: body.type, data: body.payload, priority: body.priority ?? "NORMAL" };
    const { matched, missed } = await repo.subscriptions.match(event);
    return { matched: matched.map(considered), missed: missed.map(considered), unhandled: matched.length === 0 };
  },
});

/** A match as the API shows it: where it leads, in one word. */
function considered<
  T extends { aiAgentAddress?: string | undefined; definitionId?: string | undefined; filters?: unknown },
>(match: T) {
  const { aiAgentAddress, definitionId = "", filters: _, ...rest } = match;
  return { ...rest, to: aiAgentAddress === undefined ? { definitionId } : { aiAgentAddress } };
}
