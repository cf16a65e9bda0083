import type { RoomCases } from "./case.ts";

const simple = { success: async () => ({}), errors: {} };

export const system: RoomCases = {
  "system-live": simple,
  "system-ready": simple,
  "system-openapi": simple,
  "system-docs": simple,
  "system-metrics": simple,
  "system-migrate": {
    success: async () => ({}),
    errors: {
      migration_refused: async ({ service }) => {
        await service.sql("insert into cams.migrations (name, run_on) values ('9999_from_tomorrow', now())");
        return {};
      },
    },
  },
  "system-retention": simple,
};
