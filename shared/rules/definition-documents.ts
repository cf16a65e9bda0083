import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { type Fault, Problem } from "../errors.ts";
import { AgentDocument, DefinitionDocument, DefinitionMetadata, TeamDocument } from "../schemas/definition-document.ts";
import { faultsOf, MAX_FAULTS } from "./faults.ts";
import { mergePatch } from "./merge-patch.ts";

/** SHA-256 over a document's canonical form (RFC 8785), in hex: the same for the same content in whatever order. */
export function contentHashOf(document: DefinitionDocument): string {
  return createHash("sha256")
    .update(canonicalize(document) as string)
    .digest("hex");
}

/**
 * A document with a merge patch (RFC 7396) applied, as version `version`.
 * @throws Problem invalid_request when the result is no document, another definition's, or nothing new
 */
export function patched(
  document: DefinitionDocument,
  patch: Record<string, unknown>,
  version: string,
): DefinitionDocument {
  const { id, version: before } = document.metadata;
  const merged = mergePatch(document, patch) as { kind?: unknown; metadata?: Partial<DefinitionDocument["metadata"]> };
  const faults: Fault[] = [];
  if (merged.kind !== document.kind) faults.push({ pointer: "/kind", message: "cannot be changed" });
  if (merged.metadata?.id !== id) faults.push({ pointer: "/metadata/id", message: "cannot be changed" });
  if (![before, version].includes(merged.metadata?.version ?? ""))
    faults.push({ pointer: "/metadata/version", message: `must be ${version}, as the query says` });
  const given = { ...merged, metadata: { ...merged.metadata, version } };
  const parsed = DefinitionDocument.safeParse(given);
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap(faultsOf));
  else if (
    contentHashOf({ ...parsed.data, metadata: { ...parsed.data.metadata, version: before } } as DefinitionDocument) ===
    contentHashOf(document)
  )
    faults.push({ pointer: "", message: "changes nothing" });
  if (!parsed.success || faults.length > 0)
    throw new Problem("invalid_request", "The patch does not make another version of the definition.", {
      errors: faults.slice(0, MAX_FAULTS),
    });
  return parsed.data;
}

type Names = readonly string[];
const NAMES: Record<DefinitionDocument["kind"], Names> = {
  Agent: [...Object.keys(AgentDocument.shape), ...Object.keys(DefinitionMetadata.shape)],
  Team: [...Object.keys(TeamDocument.shape), ...Object.keys(DefinitionMetadata.shape)],
};

/** A document as a person would write it: fields in the schema's order. PostgreSQL keeps the shortest names first. */
export function inOrder(document: DefinitionDocument): DefinitionDocument {
  return sorted(document, NAMES[document.kind]);
}

function sorted<T>(value: T, names: Names): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => sorted(item, names)) as T;
  const place = (name: string) => (names.includes(name) ? names.indexOf(name) : names.length);
  const entries = Object.entries(value).toSorted(([a], [b]) => place(a) - place(b));
  return Object.fromEntries(entries.map(([name, child]) => [name, sorted(child, names)])) as T;
}
