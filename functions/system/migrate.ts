import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Migrated } from "../../shared/schemas/system.ts";
import { migration } from "../../shared/services/migration.ts";

export const systemMigrate = defineEndpoint({
  name: "system-migrate",
  method: "POST",
  path: "/v1/system/migrate",
  summary: "Bring the database's schema up to date",
  description:
    "Safe to repeat and to overlap: one applies, the others wait and find nothing to do. Where DATABASE_GRANTS is set, the " +
    "database users named in it become members of their roles, and all others are members no longer.",
  role: "system",
  databaseRole: "cams_migrator",
  status: 200,
  returns: Migrated,
  errors: ["migration_refused"],
  needs: { migrate: migration },
  runtime: { timeoutSeconds: 600, concurrency: 1 },
  handler: async ({ repo, services }) => {
    const migrated = await services.migrate();
    return { ...migrated, partitionsMade: await repo.system.makePartitions() };
  },
});
