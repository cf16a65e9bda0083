import { sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { patched } from "../rules/definition-documents.ts";
import type { Manner } from "../rules/definition-plan.ts";
import { nextPatch } from "../rules/versions.ts";
import type { DefinitionDocument } from "../schemas/definition-document.ts";
import { deciding, type Revisions, versionsOf } from "./definition-lock.ts";
import type { Context, Repository } from "./index.ts";

/** Takes one document in, and answers its version. */
async function takeOne(repo: Repository, document: DefinitionDocument, manner: Manner) {
  const { id, version } = document.metadata;
  const [outcome] = await repo.definitions.take([document], manner);
  if (outcome?.problem) throw outcome.problem;
  const taken = await repo.definitions.get(id, version);
  return { ...taken, ...(outcome?.warnings.length && { warnings: outcome.warnings }) };
}

/** A document that names its owner, after it was given to another: who owns it now goes on without naming itself. */
function ownedBy(document: DefinitionDocument, ownerTeam: string | undefined): DefinitionDocument {
  const { metadata } = document;
  if (metadata.ownerTeam === undefined || ownerTeam === undefined) return document;
  return { ...document, metadata: { ...metadata, ownerTeam } };
}

/** What brings one document in. */
export function definitionChanges(context: Context) {
  return {
    /**
     * A new draft, or the content of one there is. The same content again changes nothing.
     * @throws Problem version_immutable, definition_kind_mismatch, definition_retired; forbidden
     */
    create(document: DefinitionDocument) {
      const manner = { source: "api", publish: false, activate: "never", revives: false } as const;
      return context.transaction((repo) => takeOne(repo, document, manner));
    },

    /**
     * Makes a new version from the current one, or while none is from the highest.
     * @throws Problem definition_not_found, version_exists, invalid_request, revision_mismatch, member_unresolved,
     * definition_retired; forbidden
     */
    patch(
      id: string,
      patch: Record<string, unknown>,
      given: { version?: string | undefined; publish: boolean; reason?: string | undefined },
      revisions: Revisions,
    ) {
      const base = sql`
        (select coalesce(c.current_version, c.highest_version) from cams.definitions c where c.definition_id = ${id})`;
      const what = { revisions, reason: given.reason, membersOf: given.publish ? base : undefined };
      return deciding(context, id, what, async (repo, bound, definition) => {
        const taken = await versionsOf(bound, id);
        const { document } = await repo.definitions.get(id, definition.currentVersion ?? definition.highestVersion);
        const owned = ownedBy(document, definition.ownerTeam);
        const named = (patch.metadata as { version?: unknown } | null | undefined)?.version;
        const version =
          given.version ?? (typeof named === "string" ? named : nextPatch(document.metadata.version, taken));
        if (taken.has(version)) throw new Problem("version_exists", `${id} has a version ${version} already.`);
        const manner = { source: "api", publish: given.publish, activate: "always", revives: false } as const;
        return takeOne(repo, patched(owned, patch, version), manner);
      });
    },

    /**
     * Publishes a draft, a team with the exact versions of its members. What is published already stays as it is.
     * @throws Problem definition_not_found, version_not_found, version_immutable, member_unresolved, revision_mismatch;
     * forbidden
     */
    publish(
      id: string,
      version: string,
      given: { activate: boolean; reason?: string | undefined },
      revisions: Revisions,
    ) {
      return deciding(context, id, { revisions, reason: given.reason, membersOf: sql`${version}` }, async (repo) => {
        const { status, document } = await repo.definitions.get(id, version);
        if (status === "DEPRECATED")
          throw new Problem("version_immutable", `${id} ${version} is deprecated: it is not published again.`);
        const activate = given.activate ? "always" : "never";
        return takeOne(repo, document, { source: "api", publish: true, activate, revives: true });
      });
    },
  };
}
