import { migrate } from "../db/migrate.ts";
import type { Service } from "./service.ts";

/** Brings the database's schema up to date. */
export const migration: Service<() => Promise<{ applied: string[]; version: string }>> = {
  rights: [],
  open: ({ client }) => ({ service: async () => migrate(await client()) }),
};
