import * as z from "zod";

export const Live = z.strictObject({ status: z.literal("live") });
export const Ready = z.strictObject({ status: z.literal("ready") });
export const Migrated = z.strictObject({
  applied: z.array(z.string()).meta({ description: "Migrations applied by this call, in order." }),
  version: z.string().meta({ description: "The newest migration that is in the database." }),
  granted: z.array(z.string()).meta({ description: "Rights given by this call, each as `user=role`." }),
  revoked: z.array(z.string()).meta({ description: "Rights taken back by this call, each as `user=role`." }),
  partitionsMade: z.int(),
});
export const Retained = z.strictObject({
  complete: z.boolean().meta({ description: "Nothing is left to the next run." }),
  partitionsMade: z
    .int()
    .optional()
    .meta({ description: "Absent when an archive was in use: the next run makes them." }),
  partitionsDropped: z
    .array(z.string())
    .meta({ description: "Days and months of the archives that are gone, oldest first." }),
  partitionsLeft: z.array(z.string()).meta({ description: "Old ones that were in use: the next run drops them." }),
  defaultPartitionRows: z.int().meta({
    description:
      "Finished rows for whose time there was no partition, of each archive counted up to 10,000; any is a defect.",
  }),
  defaultPartitionRowsDeleted: z.int(),
  defaultTaskRowsDeleted: z.int(),
  defaultEventRowsDeleted: z.int(),
  idempotencyKeysDeleted: z.int(),
  messageKeysDeleted: z.int(),
  eventKeysDeleted: z.int(),
  scheduleRunsDeleted: z.int(),
  healthTransitionsDeleted: z.int(),
  agentTransitionsDeleted: z.int(),
  previousSecretsDeleted: z.int(),
  secretsResealed: z
    .int()
    .meta({ description: "Secrets of webhooks that are now encrypted with the first SECRETS_KEY." }),
  secretsUnreadable: z
    .int()
    .meta({ description: "Secrets that no SECRETS_KEY opens: their webhooks must rotate them." }),
});
