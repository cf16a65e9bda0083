import * as z from "zod";
import { AiAgentAddress, notReserved, Page, pageOf, prose, Timestamp, text } from "./common.ts";

export const DestinationType = z.enum(["GCP_PUBSUB_TOPIC", "HTTP_ENDPOINT", "PULL_QUEUE"]).meta({
  id: "InboxDestinationType",
  description: "Where messages go: a Pub/Sub topic, a webhook, or a queue that the agent pulls.",
});
export const Status = z.enum(["ACTIVE", "INACTIVE"]);
export const HealthStatus = z.enum(["UNKNOWN", "HEALTHY", "UNHEALTHY", "SUSPECT", "OFFLINE"]).meta({
  id: "HealthStatus",
  description: "What was observed: self-reported, or SUSPECT and OFFLINE after missed reports.",
});

const fits: Record<z.infer<typeof DestinationType>, { pattern: RegExp; form: string }> = {
  GCP_PUBSUB_TOPIC: { pattern: /^projects\/[^/\s]+\/topics\/[^/\s]+$/, form: "projects/<project>/topics/<topic>" },
  HTTP_ENDPOINT: { pattern: /^https?:\/\/\S+$/, form: "an https URL" },
  PULL_QUEUE: { pattern: /^/, form: "any name" },
};

function nameFitsType(
  body: { inboxDestinationType?: z.infer<typeof DestinationType> | undefined; inboxName?: string | undefined },
  report: z.core.$RefinementCtx,
): void {
  if (body.inboxDestinationType === undefined || body.inboxName === undefined) return;
  const { pattern, form } = fits[body.inboxDestinationType];
  if (!pattern.test(body.inboxName))
    report.addIssue({ code: "custom", path: ["inboxName"], message: `must be ${form}` });
}

const given = {
  description: prose(2000),
  ownerTeam: text(255),
  heartbeatIntervalSeconds: z.int().min(5).max(86_400),
  maxDeliveryAttempts: z.int().min(1).max(100),
};

export const InboxPath = z.strictObject({ aiAgentAddress: AiAgentAddress });

/** What registers an inbox. */
export const InboxRegistration = z
  .strictObject({
    aiAgentAddress: AiAgentAddress.refine(notReserved, "is reserved for the system"),
    inboxDestinationType: DestinationType,
    inboxName: text(1024)
      .optional()
      .meta({ description: "Where exactly: the topic or the URL; not needed for PULL_QUEUE." }),
    description: given.description.optional(),
    ownerTeam: given.ownerTeam.optional(),
    heartbeatIntervalSeconds: given.heartbeatIntervalSeconds.default(60),
    maxDeliveryAttempts: given.maxDeliveryAttempts.default(20),
  })
  .superRefine((body, report) => {
    if (body.inboxDestinationType !== "PULL_QUEUE" && body.inboxName === undefined)
      report.addIssue({ code: "custom", path: ["inboxName"], message: "is needed for this destination type" });
    nameFitsType(body, report);
  })
  .meta({ id: "InboxRegistration" });

/** A partial update: only what is given changes; `null` clears an optional field. */
export const InboxUpdate = z
  .strictObject({
    aiAgentAddress: AiAgentAddress.optional().meta({ description: "If given, the address of the path." }),
    inboxDestinationType: DestinationType.optional(),
    inboxName: text(1024).optional(),
    status: Status.optional().meta({ description: "Sets the admin status." }),
    description: given.description.nullable().optional(),
    ownerTeam: given.ownerTeam.nullable().optional(),
    heartbeatIntervalSeconds: given.heartbeatIntervalSeconds.optional(),
    maxDeliveryAttempts: given.maxDeliveryAttempts.optional(),
  })
  .superRefine(nameFitsType)
  .refine(({ aiAgentAddress: _, ...fields }) => Object.keys(fields).length > 0, "at least one field must be given")
  .meta({ id: "InboxUpdate" });

/** The mapping of an address to where its messages go. */
export const Inbox = z
  .strictObject({
    aiAgentAddress: z.string(),
    inboxDestinationType: DestinationType,
    inboxName: z
      .string()
      .optional()
      .meta({ description: "Only for its owner, operators of its team and administrators." }),
    status: Status.meta({ description: "What the router acts on, computed from admin status, health and quarantine." }),
    adminStatus: Status.meta({ description: "What an operator decided." }),
    healthStatus: HealthStatus,
    quarantined: z.boolean(),
    statusReason: z.string().optional().meta({ description: "Why the status is INACTIVE; shown as `inboxName` is." }),
    deliveryPausedUntil: Timestamp.optional().meta({
      description: "Its destination fails again and again, or asked to be left alone: nothing is sent before.",
    }),
    description: z.string().optional(),
    ownerTeam: z.string().optional(),
    heartbeatIntervalSeconds: z.int(),
    maxDeliveryAttempts: z.int(),
    lastHealthCheckTimestamp: Timestamp.optional(),
    registrationTimestamp: Timestamp,
    lastUpdatedTimestamp: Timestamp.meta({ description: "Of the last decision; health does not count." }),
    updatedBy: z.string(),
    revision: z.int().meta({ description: "Counts decisions, not health." }),
  })
  .meta({ id: "Inbox" });

const secret = z.string().meta({
  description: "Signs the calls to a webhook (Standard Webhooks, `whsec_…`); shown this once, then only rotated.",
});
/** An inbox as its maker gets it. */
export const InboxWithSecret = Inbox.extend({ secret: secret.optional() }).meta({ id: "InboxWithSecret" });
export const RotatedSecret = z.strictObject({ secret });

/** An inbox as `inboxes-get` answers it. */
export const InboxWithBacklog = Inbox.extend({
  pendingMessages: z.int().optional().meta({
    description: "Live messages, counted to 1,000, which means that or more; shown as `inboxName` is.",
  }),
}).meta({ id: "InboxWithBacklog" });

export const InboxFilter = z.strictObject({
  status: Status.optional(),
  adminStatus: Status.optional(),
  healthStatus: HealthStatus.optional(),
  inboxDestinationType: DestinationType.optional(),
  ownerTeam: given.ownerTeam.optional(),
  ...Page,
});
export const InboxPage = pageOf(Inbox);
