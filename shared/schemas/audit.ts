import * as z from "zod";
import { JsonObject, Page, pageOf, Timestamp, TimestampInput, text } from "./common.ts";

/** One decision, as it was recorded in the transaction that made it. */
export const AuditEntry = z
  .strictObject({
    sequence: z.int().meta({ description: "Its place in the chain; no number is left out." }),
    at: Timestamp,
    actor: z.string().meta({ description: "The principal; of a change past the service, the database's user." }),
    action: z.string().meta({
      description: "`created`, `updated`, `deleted`, `secret_rotated`; of a version `published`, `deprecated`.",
    }),
    resourceType: z.string().meta({
      description: "`inbox`, `principal`, `api_key`, `definition`, `definition_version`, `subscription`, `schedule`.",
    }),
    resourceId: z.string(),
    ownerTeam: z.string().optional(),
    before: JsonObject.optional(),
    after: JsonObject.optional(),
    reason: z.string().optional(),
    source: z.string().meta({
      description: "The function that did it; `cams` where the service decided, `sql` for a change past the service.",
    }),
    requestId: z.string().optional(),
    databaseUser: z.string(),
    hash: z.string().meta({ description: "SHA-256 over the entry before and this one, in hex." }),
  })
  .meta({ id: "AuditEntry" });

export const AuditFilter = z.strictObject({
  resourceType: text(255).optional(),
  resourceId: text(255).optional(),
  actor: text(255).optional(),
  action: text(255).optional(),
  after: TimestampInput.optional(),
  before: TimestampInput.optional(),
  ...Page,
});
export const AuditPage = pageOf(AuditEntry);

export const AuditVerified = z
  .strictObject({
    valid: z.boolean(),
    checked: z.int().meta({ description: "Entries that were looked at." }),
    brokenAt: z.int().optional().meta({
      description: "The first place at which the chain does not hold: an entry changed, added or missing.",
    }),
    head: z
      .strictObject({ sequence: z.int(), hash: z.string() })
      .optional()
      .meta({ description: "The chain's end. Kept elsewhere, it shows later that nothing before it was rewritten." }),
  })
  .meta({ id: "AuditVerified" });
