import { oneEventForms } from "../../shared/http/cloudevents.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PlainlySaid } from "../../shared/schemas/cloudevent.ts";
import { SubscriptionMatches } from "../../shared/schemas/subscription.ts";

export const subscriptionsMatch = defineEndpoint({
  name: "subscriptions-match",
  method: "POST",
  path: "/v1/subscriptions/match",
  summary: "Ask who would get an event, and why",
  description: "Nothing is published.",
  role: "agent",
  body: PlainlySaid,
  forms: oneEventForms,
  status: 200,
  returns: SubscriptionMatches,
  errors: [],
  handler: async ({ body, repo }) => {
    const [given] = body.events;
    if (!given) throw new Error("an event came as none");
    const event = { type: given.type, data: given.data, priority: given.priority ?? "NORMAL" };
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
