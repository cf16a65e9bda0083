import * as z from "zod";
import { flag, JsonObject, Page, ProblemItem, pageOf, prose, Timestamp, text, wholeNumber } from "./common.ts";
import { DefinitionDocument, DefinitionId, DefinitionKind, Version } from "./definition-document.ts";

export type VersionStatus = z.output<typeof VersionStatus>;
export const VersionStatus = z.enum(["DRAFT", "PUBLISHED", "DEPRECATED"]).meta({ id: "VersionStatus" });
export const DefinitionStatus = z.enum(["DRAFT", "PUBLISHED", "DEPRECATED", "RETIRED"]).meta({
  id: "DefinitionStatus",
  description: "That of its current version, or while none is current of the highest; `RETIRED` is of the whole.",
});
/** By which way something came. */
export type DefinitionSource = z.output<typeof DefinitionSource>;
export const DefinitionSource = z.enum(["api", "yaml", "loader"]).meta({ id: "DefinitionSource" });

export const DefinitionPath = z.strictObject({ definitionId: DefinitionId });
export const VersionPath = z.strictObject({ definitionId: DefinitionId, version: Version });

const reason = prose(1000).optional().meta({ description: "Why, for the history." });

/** Something that is not refused, and perhaps not meant. */
export const Warning = z.strictObject({ pointer: z.string(), message: z.string() }).meta({ id: "DefinitionWarning" });
const warnings = z.array(Warning).optional();

export type LockedMember = z.output<typeof LockedMember>;
export const LockedMember = z.strictObject({ id: DefinitionId, version: Version }).meta({ id: "LockedMember" });

const versionFields = {
  version: Version,
  status: VersionStatus,
  current: z.boolean(),
  contentHash: z.string().meta({ description: "SHA-256 over the document in canonical form (RFC 8785), in hex." }),
  source: DefinitionSource,
  lock: z
    .array(LockedMember)
    .optional()
    .meta({ description: "Of a team: the exact versions of its members, settled when it was published." }),
  createdAt: Timestamp,
  createdBy: z.string(),
  publishedAt: Timestamp.optional(),
  publishedBy: z.string().optional(),
  deprecatedAt: Timestamp.optional(),
  deprecatedBy: z.string().optional(),
};

/** One version of a definition, with its document. */
export const DefinitionVersion = z
  .strictObject({
    id: DefinitionId,
    kind: DefinitionKind,
    ...versionFields,
    document: DefinitionDocument,
    ownerTeam: z.string().optional(),
    revision: z
      .int()
      .meta({ description: "Counts the decisions about the definition, whichever version they are about." }),
    warnings,
  })
  .meta({ id: "DefinitionVersion" });

export const VersionSummary = z.strictObject(versionFields).meta({ id: "VersionSummary" });
export const VersionPage = pageOf(VersionSummary);

/** A definition as lists show it. */
export const Definition = z
  .strictObject({
    id: DefinitionId,
    kind: DefinitionKind,
    name: z.string(),
    description: z.string().optional(),
    role: z.string().optional(),
    tags: z.array(z.string()),
    ownerTeam: z.string().optional(),
    status: DefinitionStatus,
    currentVersion: Version.optional(),
    highestVersion: Version,
    createdAt: Timestamp,
    createdBy: z.string(),
    updatedAt: Timestamp,
    updatedBy: z.string(),
    revision: z.int(),
  })
  .meta({ id: "Definition" });
export const DefinitionPage = pageOf(Definition);

export const DefinitionFilter = z.strictObject({
  kind: DefinitionKind.optional(),
  status: DefinitionStatus.optional(),
  tag: text(100).optional(),
  ownerTeam: text(255).optional(),
  q: text(200).optional().meta({ description: "Words, or their beginnings, of id, name, role, description and tags." }),
  ...Page,
});

export const VersionQuery = z.strictObject({
  version: Version.optional().meta({ description: "Without, the current one." }),
});
export const DefinitionQuery = VersionQuery.extend({
  waitSeconds: wholeNumber().min(0).max(30).default(0).meta({
    description: "With `If-None-Match`: how long to hold the request until another version is current.",
  }),
});

/** How a version's place is changed, and why. */
export const VersionDecision = z.strictObject({ reason }).meta({ id: "VersionDecision" });
export const ReasonQuery = z.strictObject({ reason });
export const PublishQuery = z.strictObject({ activate: flag("true") });

/** An RFC 7396 merge patch of a document. */
export const DefinitionPatch = JsonObject.meta({
  id: "DefinitionPatch",
  description: "A JSON merge patch (RFC 7396): objects are merged, lists replaced, null removes.",
});
export const PatchQuery = z.strictObject({
  version: Version.optional().meta({ description: "The new version; without, the next patch level that is free." }),
  publish: flag("false"),
  reason,
});

export const DiffQuery = z.strictObject({
  from: Version.optional().meta({ description: "Without, the current version." }),
  to: Version.optional().meta({ description: "Without, the highest version." }),
});
/** An operation of an RFC 6902 patch. */
export const PatchOperation = z
  .strictObject({ op: z.enum(["add", "remove", "replace", "move", "copy", "test"]), path: z.string() })
  .extend({ from: z.string().optional(), value: z.unknown().optional().meta({ id: "AnyValue" }) })
  .meta({ id: "PatchOperation" });
export const DefinitionDiff = z
  .strictObject({ from: Version, to: Version, patch: z.array(PatchOperation) })
  .meta({ id: "DefinitionDiff", description: "`patch` (RFC 6902) makes the document of `to` from that of `from`." });

export const ImportQuery = z.strictObject({
  publish: flag("false").meta({ description: "Publish what is imported; what is the highest becomes current." }),
  dryRun: flag("false").meta({ description: "Answer what would happen, and write nothing." }),
  source: z.enum(["yaml", "loader"]).default("yaml").meta({
    description: "`loader`: a folder that is loaded again and again; it never overrides what was decided otherwise.",
  }),
});

/** What is imported: YAML as text, or from JSON one document or a list of them. */
export const DefinitionsToImport = z
  .custom<string | object>(
    (value) => value !== "" && (typeof value === "string" || (typeof value === "object" && value !== null)),
    "must be YAML, or JSON with a document or a list of documents",
  )
  .meta({
    id: "DefinitionsToImport",
    description: "A document, or a list of documents.",
    override: { oneOf: [{ type: "object" }, { type: "array", items: { type: "object" } }] },
  });

/** A fault of a document, with its place in the text. */
export const DocumentFault = z
  .strictObject({
    pointer: z.string(),
    message: z.string(),
    line: z.int().optional().meta({ description: "In the whole text, from 1." }),
    column: z.int().optional().meta({ description: "From 1." }),
  })
  .meta({ id: "DocumentFault" });

/** What became of one document of an import. */
const ImportedItem = z
  .strictObject({
    id: z.string().optional().meta({ description: "As far as the document tells it." }),
    version: z.string().optional(),
    action: z.enum(["created", "replaced", "published", "unchanged", "conflict", "invalid"]).meta({
      description:
        "`created`: a new version. `replaced`: a draft's content. `published`: a draft whose content is the same. " +
        "`conflict`: refused as `problem` says. `invalid`: refused for its `errors`.",
    }),
    status: VersionStatus.optional(),
    current: z.boolean().optional(),
    problem: ProblemItem.optional(),
    errors: z.array(DocumentFault).optional(),
    warnings,
  })
  .meta({ id: "ImportedDefinition" });
export type Imported = z.output<typeof ImportedItem>;
export const ImportedAll = z
  .strictObject({ dryRun: z.boolean(), results: z.array(ImportedItem) })
  .meta({ id: "Import" });

/** One decision about a definition. */
export const DefinitionChange = z
  .strictObject({
    sequence: z.int().meta({ description: "Its place in the audit." }),
    at: Timestamp,
    action: z.enum([
      "created",
      "version_created",
      "version_replaced",
      "version_published",
      "version_deprecated",
      "version_deleted",
      "activated",
      "retired",
      "updated",
      "deleted",
    ]),
    version: Version.optional(),
    before: JsonObject.optional(),
    after: JsonObject.optional(),
    changed: z.array(z.string()).meta({ description: "JSON pointers of what differs between `before` and `after`." }),
    actor: z.string(),
    reason: z.string().optional(),
    source: z.enum(["api", "yaml", "loader", "sql"]),
    requestId: z.string().optional(),
  })
  .meta({ id: "DefinitionChange" });
export const DefinitionHistory = pageOf(DefinitionChange);
