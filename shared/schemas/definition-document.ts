import * as z from "zod";
import { prose, text } from "./common.ts";
import { EventTypePattern } from "./event.ts";
import { EventFilters } from "./event-filters.ts";
import { Priority } from "./message.ts";

/** Most bytes of a document as JSON in UTF-8, and of a file of them. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;

export const DefinitionId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of a-z, 0-9 and -, and not begin with -")
  .meta({ id: "DefinitionId", example: "qa-manager" });
export type DefinitionKind = z.output<typeof DefinitionKind>;
export const DefinitionKind = z.enum(["Agent", "Team"]).meta({ id: "DefinitionKind" });

const number = "(?:0|[1-9]\\d{0,14})";
const word = "(?:0|[1-9]\\d{0,14}|\\d*[a-zA-Z-][0-9a-zA-Z-]*)";
const version = `${number}\\.${number}\\.${number}(?:-${word}(?:\\.${word})*)?`;

const VERSION = "must be a version as in semver.org, such as 1.0.0 or 1.1.0-rc.1, without +build";

/** Semantic Versioning 2.0.0; without build metadata, which would make two versions of one rank. */
export const Version = z
  // An unquoted 1.0 is a number in YAML, and quotes alone would not make it a version.
  .string({ error: ({ code, input }) => (code === "invalid_type" && input !== undefined ? VERSION : undefined) })
  .max(64)
  .regex(new RegExp(`^${version}$`), VERSION)
  .meta({ id: "Version", example: "1.0.0" });

const partial = `(?:[xX*]|${number}(?:\\.(?:[xX*]|${number}(?:\\.[xX*])?))?|${version})`;
const comparators = `(?:>=|<=|>|<|=|~|\\^)?${partial}(?: (?:>=|<=|>|<|=|~|\\^)?${partial})*`;
const range = `(?:${partial} - ${partial}|${comparators})`;

/** Which versions of another definition will do. */
export const VersionRange = z
  .string()
  .max(100)
  .regex(
    new RegExp(`^(?:latest|${range}(?: \\|\\| ${range})*)$`),
    "must be latest or a range such as 1.2.0, ^1.2.0, >=1.0.0 <3.0.0 or 1.x || 2.x",
  )
  .meta({
    id: "VersionRange",
    description: "A range of versions as npm knows it; `latest` is the one that is current.",
    example: "^1.2.0",
  });

/** A JSON object that is kept as it is; `checkValues` looks into it. */
const Free = z
  .custom<Record<string, unknown>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    "must be an object",
  )
  .meta({
    id: "FreeObject",
    description: "Any JSON object.",
    override: { type: "object", additionalProperties: true },
  });
const extensions = Free.optional().meta({ description: "What has no field of its own here." });
const names = z.array(text(255)).max(1000);

export const DefinitionMetadata = z.strictObject({
  id: DefinitionId,
  name: text(255),
  version: Version,
  role: prose(10_000).optional(),
  author: text(255).optional(),
  description: prose(100_000).optional(),
  tags: z.array(text(100)).max(100).default([]),
  ownerTeam: text(255).optional().meta({ description: "Who decides over it; without, the caller's team." }),
  extensions,
});

const Goal = z.strictObject({
  type: z.enum(["continuous", "on-demand"]),
  description: prose(100_000),
  extensions,
});

export const Trigger = z.strictObject({
  eventType: EventTypePattern,
  priority: Priority.default("NORMAL"),
  filters: EventFilters.optional(),
  extensions,
});

const Subagent = z.strictObject({
  id: DefinitionId,
  version: VersionRange.default("latest"),
  delegateFor: names.default([]),
  extensions,
});

const Member = z.strictObject({
  id: DefinitionId,
  version: VersionRange.default("latest"),
  role: prose(10_000).optional(),
  extensions,
});

const Config = z.strictObject({
  maxParallelTasks: z.int().min(1).max(1000).default(3),
  approvalRequiredFor: names.default([]),
  autoRetry: z.boolean().default(true),
  feedbackCollection: z.boolean().default(true),
  timeoutSeconds: z.int().min(1).max(2_592_000).default(3600),
  budgetLimitUsd: z.number().min(0).max(1e9).optional().meta({ description: "A month's, in US dollars." }),
  enabled: z.boolean().default(true),
  extensions,
});

// A default is written into every document that is stored: a field that comes later must be optional instead, or
// yesterday's file would no longer be what was published from it.
export const AgentDocument = z
  .strictObject({
    kind: z.literal("Agent"),
    metadata: DefinitionMetadata,
    goal: Goal.optional(),
    model: Free.optional(),
    instructions: prose(MAX_DOCUMENT_BYTES).optional(),
    tools: z
      .array(z.union([text(255), Free], "must be a name of 1 to 255 characters or an object"))
      .max(1000)
      .default([]),
    skills: names.default([]),
    settings: Free.default({}),
    triggers: z.array(Trigger).max(100).default([]),
    eventPools: names.default([]),
    subagents: z.array(Subagent).max(100).default([]),
    permissions: Free.default({}),
    config: Config.prefault({}),
    extensions: Free.default({}),
  })
  .meta({ id: "AgentDocument" });

export type TeamDocument = z.output<typeof TeamDocument>;
export const TeamDocument = z
  .strictObject({
    kind: z.literal("Team"),
    metadata: DefinitionMetadata,
    mode: z.enum(["route", "coordinate", "collaborate"]),
    model: Free.optional(),
    instructions: prose(MAX_DOCUMENT_BYTES).optional(),
    settings: Free.default({}),
    storage: Free.optional(),
    members: z.array(Member).min(1).max(100),
    extensions: Free.default({}),
  })
  .meta({ id: "TeamDocument" });

/** What an agent or a team of agents is. */
export type DefinitionDocument = z.output<typeof DefinitionDocument>;
export const DefinitionDocument = z
  .discriminatedUnion("kind", [AgentDocument, TeamDocument])
  .superRefine(checkValues, { when: () => true })
  .meta({ id: "DefinitionDocument" });

/** Deepest nesting of a document, as of any body. */
const MAX_DEPTH = 64;
/** Most values that are named: a mebibyte has room for 500,000. */
const MAX_REFUSED = 100;

/**
 * Refuses what cannot be kept as it is, wherever it stands: text that PostgreSQL or UTF-8 has no form for, numbers
 * beyond a double, and more than a mebibyte in all. Stops at the limit: aliases in YAML can make a document that is
 * gigabytes when written out.
 */
function checkValues(document: unknown, report: z.core.$RefinementCtx): void {
  let bytes = 0;
  let refused = 0;
  const visit = (value: unknown, path: PropertyKey[]): void => {
    if (bytes > MAX_DOCUMENT_BYTES || refused === MAX_REFUSED) return;
    bytes += bytesOf(value);
    const message = path.length > MAX_DEPTH ? "must not be nested deeper than 64 levels" : faultOf(value);
    if (message) {
      refused++;
      report.addIssue({ code: "custom", path, message });
    } else if (Array.isArray(value)) for (const [index, item] of value.entries()) visit(item, [...path, index]);
    else if (typeof value === "object" && value !== null)
      for (const [key, child] of Object.entries(value)) {
        visit(key, [...path, key]);
        visit(child, [...path, key]);
      }
  };
  visit(document, []);
  if (bytes > MAX_DOCUMENT_BYTES)
    report.addIssue({ code: "custom", path: [], message: "must be at most 1 MiB as JSON" });
}

/** About how many a value takes by itself, with what parts it from the next. */
function bytesOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value) + 3;
  // PostgreSQL writes 1e307 with all its zeros: 100,000 of them, half a megabyte as sent, would be 30 as read.
  return typeof value === "number" && value !== 0 ? 2 + Math.abs(Math.log10(Math.abs(value))) : 2;
}

/** What is wrong with a value by itself. */
function faultOf(value: unknown): string | undefined {
  if (typeof value === "string") {
    if (value.includes("\0")) return "must not contain a NUL character";
    return value.isWellFormed() ? undefined : "must be well-formed Unicode";
  }
  if (typeof value === "number") return Number.isFinite(value) ? undefined : "must be a finite number";
  const isRaw = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null;
  return isRaw && "rawJSON" in value ? "has more digits than a number keeps: put it in quotes" : undefined;
}
