import * as z from "zod";
import { Timestamp, TimestampInput } from "./common.ts";
import { DefinitionId, Version } from "./definition-document.ts";
import { TaskState } from "./task.ts";

export const DefinitionMetricsQuery = z.strictObject({
  from: TimestampInput.optional().meta({ description: "Tasks finished at or after." }),
  to: TimestampInput.optional().meta({ description: "Tasks finished before." }),
});

export const VersionMetrics = z
  .strictObject({
    version: Version.optional().meta({ description: "None: tasks that ended before anybody claimed them." }),
    tasks: z.int(),
    byState: z.partialRecord(TaskState, z.int()),
    successRate: z.number().optional().meta({
      description: "Completed ones among those that completed, failed or timed out, 0 to 1.",
    }),
    durationSeconds: z
      .strictObject({ mean: z.number(), p95: z.number() })
      .optional()
      .meta({ description: "Of last attempts." }),
    tokens: z.int().optional(),
    costUsd: z.number().optional(),
    toolCalls: z.int().optional(),
    rating: z.strictObject({ mean: z.number(), count: z.int() }).optional(),
    lastRunAt: Timestamp,
  })
  .meta({ id: "VersionMetrics" });

/** What tasks of a definition came to, by the version that did them. */
export const DefinitionMetrics = z
  .strictObject({
    definitionId: DefinitionId,
    versions: z.array(VersionMetrics).meta({ description: "The one that ran last first." }),
    waitingTasks: z.int().meta({
      description: "Tasks in its pool that nobody holds, now, counted to 1,000, which means that or more.",
    }),
    workingTasks: z.int().meta({ description: "Tasks that its agents hold, now, from the pool and their own." }),
    costThisMonthUsd: z
      .number()
      .meta({ description: "As reported so far, running tasks included; months are of UTC." }),
    budgetLimitUsd: z.number().optional().meta({ description: "A month's, as the current version says." }),
  })
  .meta({ id: "DefinitionMetrics" });
