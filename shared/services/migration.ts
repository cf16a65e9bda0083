import { isUnreachable, toProblem } from "../db/errors.ts";
import { type Migration, migrate } from "../db/migrate.ts";
import type { Service } from "./service.ts";

/** Brings the database's schema up to date, and its users' rights where the configuration names them. */
export const migration: Service<() => Promise<Migration>> = {
  rights: [],
  open: ({ config, client }) => ({
    service: () =>
      migrate(client, { grants: config.DATABASE_GRANTS }).catch((error) => {
        // Not all of its errors: a relation that a migration misses is a defect, and no older schema.
        throw isUnreachable(error) ? toProblem(error, {}) : error;
      }),
  }),
};
