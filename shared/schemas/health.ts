import * as z from "zod";
import { AiAgentAddress, flag, ProblemItem, pageOf, prose, Timestamp } from "./common.ts";
import { HealthStatus, Status } from "./inbox.ts";

/** An agent's own report; the time of it is the database's. */
export const HealthReport = z
  .strictObject({
    aiAgentAddress: AiAgentAddress,
    status: z.enum(["HEALTHY", "UNHEALTHY"]),
    details: prose(1000).optional(),
    nextReportInSeconds: z.int().min(1).max(2_592_000).optional().meta({
      description: "When it wakes next, for an agent on a schedule: it is not suspected before.",
    }),
  })
  .meta({ id: "HealthReport" });

const ReportedInbox = z
  .strictObject({
    status: Status,
    healthStatus: HealthStatus,
    adminStatus: Status,
    hasMessages: z.boolean().meta({ description: "Whether a pull would find something now." }),
    expectedBy: Timestamp.meta({ description: "When the next report is due." }),
  })
  .meta({ id: "ReportedInbox" });

export const HealthReported = z
  .strictObject({ status: z.literal("success"), message: z.string(), timestamp: Timestamp, inbox: ReportedInbox })
  .meta({ id: "HealthReported" });

export const HealthReportBatch = z.strictObject({ reports: z.array(HealthReport).min(1).max(500) });
export const HealthReportedBatch = z.strictObject({
  results: z.array(
    z.union([
      z.strictObject({ aiAgentAddress: z.string(), inbox: ReportedInbox }),
      z.strictObject({ aiAgentAddress: z.string(), problem: ProblemItem }),
    ]),
  ),
});

/** One change of what was observed or of what the router acts on. */
export const HealthTransition = z
  .strictObject({
    at: Timestamp,
    from: z.strictObject({ healthStatus: HealthStatus, status: Status }),
    to: z.strictObject({ healthStatus: HealthStatus, status: Status }),
    reason: z.string().optional(),
  })
  .meta({ id: "HealthTransition" });
export const HealthHistoryPage = pageOf(HealthTransition);

export const SweepQuery = z.strictObject({
  force: flag("false").meta({ description: "Overrides the brake." }),
});
export const Swept = z
  .strictObject({
    suspected: z.int(),
    offline: z.int(),
    expired: z.int(),
    deadLettered: z.int(),
    locksReleased: z.int(),
    tasksReturned: z.int().meta({ description: "Of agents that went silent: back in their queues." }),
    tasksTimedOut: z.int(),
    tasksFailed: z.int().meta({ description: "Out of attempts." }),
    agentsDrained: z.int(),
    frozen: z.boolean().meta({
      description: "The brake held: more than half of the watched inboxes would have gone offline at once.",
    }),
  })
  .meta({ id: "Swept" });
