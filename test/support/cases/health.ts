import type { RoomCases } from "./case.ts";

const nowhere = { aiAgentAddress: "nobody@corp.example" };

export const health: RoomCases = {
  "health-report": {
    success: async ({ make }) => ({
      body: {
        aiAgentAddress: (await make.inbox()).aiAgentAddress,
        status: "UNHEALTHY",
        details: "out of memory",
        nextReportInSeconds: 600,
      },
    }),
    errors: { inbox_not_found: async () => ({ body: { ...nowhere, status: "HEALTHY" } }) },
  },
  "health-report-batch": {
    success: async ({ make }) => {
      const { aiAgentAddress } = await make.inbox();
      return {
        body: {
          reports: [
            { aiAgentAddress, status: "HEALTHY", details: "well", nextReportInSeconds: 600 },
            { ...nowhere, status: "UNHEALTHY" },
          ],
        },
      };
    },
    errors: {},
  },
  "health-history": {
    success: async ({ make, service }) => {
      const { aiAgentAddress } = await make.inbox();
      for (const status of ["HEALTHY", "UNHEALTHY"])
        await service.post("/v1/agent-health-check", { aiAgentAddress, status });
      return { params: { aiAgentAddress }, query: { pageSize: "1" } };
    },
    errors: { inbox_not_found: async () => ({ params: nowhere }) },
  },
  "health-sweep": {
    success: async () => ({ query: { force: "true" } }),
    errors: {},
  },
};
