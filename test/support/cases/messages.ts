import type { Kit, RoomCases } from "./case.ts";

const nowhere = { aiAgentAddress: "nobody@corp.example" };
const noMessage = { messageId: "019a0000-0000-7000-8000-000000000000" };
const senderAddress = "sender@corp.example";
const leaseTokens = ["none"];

/** One message in the caller's hand: where it was pulled from, and its token. */
async function leased({ make }: Kit) {
  const { recipientAddress, leaseToken } = await make.leased();
  return { params: { aiAgentAddress: recipientAddress as string }, leaseTokens: [leaseToken as string] };
}

async function inactive({ make, service }: Kit): Promise<string> {
  const { aiAgentAddress } = await make.inbox();
  await service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "INACTIVE" });
  return aiAgentAddress;
}

/** A message with every field but the sender's own id. */
async function whole({ make }: Kit) {
  return {
    recipientAddress: (await make.inbox()).aiAgentAddress as string,
    senderAddress,
    messageType: "order.placed",
    payload: { order: 7, lines: [{ sku: "a", count: 2 }] },
    metadata: { tenant: "north" },
    priority: "HIGH",
    timeToLiveSeconds: 3600,
    deliverAfter: "2026-01-01T00:00:00+01:00",
    orderingKey: "order-7",
    correlationId: "c-1",
    inReplyTo: noMessage.messageId,
    replyToAddress: senderAddress,
    ifInactive: "reject",
  };
}

export const messages: RoomCases = {
  "messages-send": {
    success: async (kit) => ({ body: await whole(kit) }),
    errors: {
      inbox_not_found: async ({ make }) => ({
        body: { recipientAddress: make.address(), senderAddress, payload: {} },
      }),
      inbox_inactive: async (kit) => ({ body: { recipientAddress: await inactive(kit), senderAddress, payload: {} } }),
      message_id_reused: async ({ make }) => {
        const { recipientAddress } = await make.message({ senderAddress, senderMessageId: "m-1" });
        return { body: { recipientAddress, senderAddress, senderMessageId: "m-1", payload: { other: true } } };
      },
    },
  },
  "messages-send-batch": {
    success: async (kit) => ({
      body: {
        messages: [
          await whole(kit),
          { recipientAddress: nowhere.aiAgentAddress, senderAddress, senderMessageId: "m-1", payload: {} },
        ],
      },
    }),
    errors: {},
  },
  "messages-get": {
    success: async ({ make }) => ({ params: { messageId: (await make.message()).messageId } }),
    errors: { message_not_found: async () => ({ params: noMessage }) },
  },
  "messages-list": {
    success: async ({ make }) => {
      const { recipientAddress } = await make.message({ senderAddress, correlationId: "c-1" });
      await make.message({ recipientAddress, senderAddress, correlationId: "c-1" });
      const times = { after: "2026-01-01T00:00:00Z", before: "2999-01-01T00:00:00Z" };
      const filters = { recipientAddress, senderAddress, status: "QUEUED", messageType: "message" };
      return { query: { ...filters, correlationId: "c-1", ...times, pageSize: "1" } };
    },
    errors: {},
  },
  "messages-cancel": {
    success: async ({ make }) => ({ params: { messageId: (await make.message()).messageId } }),
    errors: {
      message_not_found: async () => ({ params: noMessage }),
      message_finished: async ({ make, service }) => {
        const { messageId } = await make.message();
        await service.post(`/v1/messages/${messageId}/cancel`);
        return { params: { messageId } };
      },
    },
  },
  "messages-pull": {
    success: async ({ make }) => {
      const { recipientAddress } = await make.message();
      return {
        params: { aiAgentAddress: recipientAddress },
        body: { maxMessages: 5, leaseSeconds: 30, waitSeconds: 0 },
      };
    },
    errors: {
      inbox_not_found: async () => ({ params: nowhere, body: {} }),
      inbox_inactive: async (kit) => ({ params: { aiAgentAddress: await inactive(kit) }, body: {} }),
      inbox_not_pulled: async ({ make }) => {
        const webhook = { inboxDestinationType: "HTTP_ENDPOINT", inboxName: "https://agents.corp.example/inbox" };
        return { params: { aiAgentAddress: (await make.inbox(webhook)).aiAgentAddress }, body: {} };
      },
    },
  },
  "messages-ack": {
    success: async (kit) => {
      const { params, leaseTokens } = await leased(kit);
      return { params, body: { leaseTokens } };
    },
    errors: { inbox_not_found: async () => ({ params: nowhere, body: { leaseTokens } }) },
  },
  "messages-nack": {
    success: async (kit) => {
      const { params, leaseTokens } = await leased(kit);
      return { params, body: { leaseTokens, retryAfterSeconds: 5, reason: "busy" } };
    },
    errors: { inbox_not_found: async () => ({ params: nowhere, body: { leaseTokens } }) },
  },
  "messages-redrive": {
    success: async ({ make, service }) => {
      const { messageId, recipientAddress } = await make.message();
      await service.delete(`/v1/agent-inboxes/${recipientAddress}`);
      await make.inbox({ aiAgentAddress: recipientAddress });
      return { params: { aiAgentAddress: recipientAddress }, body: { messageIds: [messageId] } };
    },
    errors: { inbox_not_found: async () => ({ params: nowhere, body: {} }) },
  },
  "messages-deliver": { success: async () => ({}), errors: {} },
  "messages-extend": {
    success: async (kit) => {
      const { params, leaseTokens } = await leased(kit);
      return { params, body: { leaseTokens, leaseSeconds: 600 } };
    },
    errors: { inbox_not_found: async () => ({ params: nowhere, body: { leaseTokens, leaseSeconds: 600 } }) },
  },
};
