import type { RoomCases } from "./case.ts";

const simple = { success: async () => ({}), errors: {} };

export const system: RoomCases = {
  "system-live": simple,
  "system-ready": simple,
  "system-openapi": simple,
  "system-docs": simple,
  "system-metrics": simple,
  "system-migrate": {
    success: async ({ service }) => {
      await service.sql(
        "select cams.make_partitions('message_archive', 14), cams.make_partitions('task_archive', 14), cams.make_partitions('events', 14)",
      );
      return {};
    },
    errors: {
      migration_refused: async ({ service }) => {
        await service.sql(
          `insert into cams.migrations (name, run_on) select '9999_from_tomorrow', now()
           where not exists (select from cams.migrations where name like '9999%')`,
        );
        return {};
      },
    },
  },
  "system-retention": simple,
};
