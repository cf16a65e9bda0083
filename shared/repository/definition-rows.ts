import * as z from "zod";
import { sql } from "../db/sql.ts";
import { inOrder } from "../rules/definition-documents.ts";
import { DefinitionVersion } from "../schemas/definition.ts";
import type { DefinitionDocument } from "../schemas/definition-document.ts";

/** A version as it is stored: its document was judged when it was taken in, by the rules of that time. */
export const StoredVersion = DefinitionVersion.extend({ document: z.custom<DefinitionDocument>().transform(inOrder) });

/** What is said of a version `v` of a definition `d`. */
export const versionSummary = sql`
  v.version, v.status, v.version is not distinct from d.current_version as current, v.content_hash as "contentHash", v.source,
  v.member_lock as lock, v.created_at as "createdAt", v.created_by as "createdBy", v.published_at as "publishedAt",
  v.published_by as "publishedBy", v.deprecated_at as "deprecatedAt", v.deprecated_by as "deprecatedBy"`;

/** A version `v` of a definition `d`, with its document. */
export const storedVersion = sql`
  d.definition_id as id, d.kind, ${versionSummary}, v.document, d.owner_team as "ownerTeam", d.revision`;

/** The version that a list shows of a definition `d`, as `v`: the current one, or while none is the highest. */
export const shownVersion = sql`
  cams.definition_versions v
    on v.definition_id = d.definition_id and v.version = coalesce(d.current_version, d.highest_version)`;
