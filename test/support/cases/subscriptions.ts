import { randomUUID } from "node:crypto";
import type { Kit, RoomCases } from "./case.ts";

const noSubscription = { subscriptionId: "019a0000-0000-7000-8000-000000000000" };
const eventType = "order.*";

async function subscribed({ make }: Kit) {
  const { subscriptionId } = await make.subscription();
  return { subscriptionId: subscriptionId as string };
}

const toDefinition = (definitionId: string) => ({ body: { eventType, to: { definitionId } } });

export const subscriptions: RoomCases = {
  "subscriptions-create": {
    success: async ({ make }) => {
      const { aiAgentAddress } = await make.inbox();
      const filters = { "order.total": ">= 300", shop: ["north", "south"], note: { exists: false } };
      return { body: { eventType, filters, to: { aiAgentAddress }, priority: "HIGH" } };
    },
    errors: {
      inbox_not_found: async () => ({ body: { eventType, to: { aiAgentAddress: "nobody@corp.example" } } }),
      definition_not_found: async () => toDefinition("nobody"),
      definition_kind_mismatch: async ({ make }) => {
        const { id: member } = await make.published();
        return toDefinition((await make.published(make.team({ members: [{ id: member }] }))).id);
      },
      definition_retired: async ({ make, service }) => {
        const { id } = await make.published();
        await service.delete(`/v1/definitions/${id}`);
        return toDefinition(id);
      },
      too_many_subscriptions: async ({ make, service }) => {
        const { aiAgentAddress } = await make.inbox();
        await service.sql(
          `insert into cams.subscriptions (event_type, ai_agent_address, created_at, created_by)
           select 'order.kind' || n, $1, now(), 'test' from generate_series(1, 100) n`,
          [aiAgentAddress],
        );
        return { body: { eventType, to: { aiAgentAddress } } };
      },
    },
  },
  "subscriptions-match": {
    success: async ({ make }) => {
      const type = `order.${randomUUID()}`;
      await make.subscription({ eventType: type });
      await make.subscription({ eventType: type, filters: { total: ">= 300" } });
      return { body: { type, payload: { total: 7 }, priority: "LOW" } };
    },
    errors: {},
  },
  "subscriptions-get": {
    success: async (kit) => ({ params: await subscribed(kit) }),
    errors: { subscription_not_found: async () => ({ params: noSubscription }) },
  },
  "subscriptions-list": {
    success: async ({ make }) => {
      const { aiAgentAddress } = await make.inbox();
      await make.subscription({ eventType, to: { aiAgentAddress } });
      await make.subscription({ eventType, to: { aiAgentAddress } });
      return { query: { eventType, aiAgentAddress, pageSize: "1" } };
    },
    errors: {},
  },
  "subscriptions-delete": {
    success: async (kit) => ({ params: await subscribed(kit) }),
    errors: {
      subscription_not_found: async () => ({ params: noSubscription }),
      subscription_of_definition: async ({ make, service }) => {
        const { id } = await make.published({ triggers: [{ eventType }] });
        const { items } = (await service.get(`/v1/subscriptions?definitionId=${id}`)).body;
        return { params: { subscriptionId: items[0].subscriptionId } };
      },
      revision_mismatch: async (kit) => ({ params: await subscribed(kit), headers: { "If-Match": '"2"' } }),
    },
  },
};
