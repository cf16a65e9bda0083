import { z } from "zod";

export const Live = z.strictObject({ status: z.literal("live") });
export const Ready = z.strictObject({ status: z.literal("ready") });
export const Migrated = z.strictObject({
  applied: z.array(z.string()).meta({ description: "Migrations applied by this call, in order." }),
  version: z.string().meta({ description: "The newest migration that is in the database." }),
  partitionsMade: z.int(),
});
