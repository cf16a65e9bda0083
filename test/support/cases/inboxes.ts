import type { RoomCases } from "./case.ts";

const nowhere = { aiAgentAddress: "nobody@corp.example" };

/** Registered, never changed: at revision 1. */
const registered = async ({ make }: Parameters<RoomCases[string]["success"]>[0]) => {
  const { aiAgentAddress } = await make.inbox();
  return { aiAgentAddress };
};

const webhook = { inboxDestinationType: "HTTP_ENDPOINT", inboxName: "https://agents.corp.example/inbox" };
const webhookAt = async ({ make }: Parameters<RoomCases[string]["success"]>[0]) => {
  const { aiAgentAddress } = await make.inbox(webhook);
  return { aiAgentAddress };
};

export const inboxes: RoomCases = {
  "inboxes-rotate-secret": {
    success: async (kit) => ({ params: await webhookAt(kit) }),
    errors: {
      inbox_not_found: async () => ({ params: nowhere }),
      inbox_not_webhook: async (kit) => ({ params: await registered(kit) }),
      revision_mismatch: async (kit) => ({ params: await webhookAt(kit), headers: { "If-Match": '"2"' } }),
    },
  },
  "inboxes-register": {
    success: async ({ make }) => ({
      body: {
        aiAgentAddress: make.address(),
        ...webhook,
        description: "takes orders",
        ownerTeam: "sales",
        heartbeatIntervalSeconds: 30,
        maxDeliveryAttempts: 5,
      },
    }),
    makeRoom: ({ service }, { body }) => service.delete(`/v1/agent-inboxes/${body?.aiAgentAddress}`),
    errors: {
      inbox_exists: async (kit) => ({ body: { ...(await registered(kit)), inboxDestinationType: "PULL_QUEUE" } }),
    },
  },
  "inboxes-list": {
    success: async ({ make }) => {
      await make.inbox({ ownerTeam: "sales" });
      await make.inbox({ ownerTeam: "sales" });
      const filters = { status: "ACTIVE", adminStatus: "ACTIVE", healthStatus: "UNKNOWN", ownerTeam: "sales" };
      return { query: { ...filters, inboxDestinationType: "PULL_QUEUE", pageSize: "1" } };
    },
    errors: {},
  },
  "inboxes-get": {
    success: async (kit) => ({ params: await registered(kit) }),
    errors: { inbox_not_found: async () => ({ params: nowhere }) },
  },
  "inboxes-update": {
    success: async ({ make }) => ({
      params: { aiAgentAddress: (await make.inbox({ ownerTeam: "sales" })).aiAgentAddress },
      body: { status: "INACTIVE", description: null, ownerTeam: "sales", heartbeatIntervalSeconds: 10 },
    }),
    errors: {
      inbox_not_found: async () => ({ params: nowhere, body: { status: "INACTIVE" } }),
      revision_mismatch: async (kit) => ({
        params: await registered(kit),
        body: { status: "INACTIVE" },
        headers: { "If-Match": '"2"' },
      }),
    },
  },
  "inboxes-delete": {
    success: async (kit) => ({ params: await registered(kit) }),
    errors: {
      inbox_not_found: async () => ({ params: nowhere }),
      inbox_in_use: async ({ make }) => ({ params: { aiAgentAddress: (await make.agent()).aiAgentAddress } }),
      revision_mismatch: async (kit) => ({ params: await registered(kit), headers: { "If-Match": '"2"' } }),
    },
  },
};
