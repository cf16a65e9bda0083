import type { RoomCases } from "./case.ts";

const simple = { success: async () => ({}), errors: {} };

export const system: RoomCases = {
  "system-live": simple,
  "system-ready": simple,
  "system-openapi": simple,
  "system-docs": simple,
  "system-metrics": simple,
  "system-migrate": simple,
  "system-retention": simple,
};
