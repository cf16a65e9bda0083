import type { RoomCases } from "./case.ts";

export const audit: RoomCases = {
  "audit-list": {
    success: async ({ make, service }) => {
      const { aiAgentAddress } = await make.inbox();
      await service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "INACTIVE" });
      await service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "ACTIVE" });
      const which = { resourceType: "inbox", resourceId: aiAgentAddress, actor: "local", action: "updated" };
      return { query: { ...which, after: "2026-01-01T00:00:00Z", before: "2126-01-01T00:00:00Z", pageSize: "1" } };
    },
    errors: {},
  },
  "audit-verify": {
    success: async ({ make }) => {
      await make.inbox();
      return {};
    },
    errors: {},
  },
};
