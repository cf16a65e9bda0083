import * as z from "zod";
import { sql } from "../db/sql.ts";
import { definitionNotFound, Problem, versionNotFound } from "../errors.ts";
import { patched } from "../rules/definition-documents.ts";
import { decidesOver, type Manner, notYourDefinition } from "../rules/definition-plan.ts";
import { highest, nextPatch } from "../rules/versions.ts";
import type { Document, Status } from "./definition-rows.ts";
import { route, tell } from "./definition-store.ts";
import type { Context, Repository } from "./index.ts";

const Locked = z.object({
  ownerTeam: z.string().optional(),
  currentVersion: z.string().optional(),
  highestVersion: z.string(),
  retired: z.boolean(),
  revision: z.int(),
});
const Place = z.object({ status: z.custom<Status>() });
const Named = z.object({ id: z.string() });
const Numbered = z.object({ version: z.string() });

type Revisions = readonly number[] | undefined;

/** What is decided about a definition and its versions. */
export function definitionDecisions({ transaction }: Context) {
  /** Runs `work` with the definition's row locked: decisions about one definition are made one after the other. */
  function deciding<T>(
    id: string,
    { revisions, reason }: { revisions: Revisions; reason: string | undefined },
    work: (repo: Repository, context: Context, definition: z.output<typeof Locked>) => Promise<T>,
  ): Promise<T> {
    return transaction(async (repo, context) => {
      const definition = await context.db.one(
        "definitions.decide",
        Locked,
        sql`
          select d.owner_team as "ownerTeam", d.current_version as "currentVersion", d.highest_version as "highestVersion",
            d.retired_at is not null as retired, d.revision
          from cams.definitions d where d.definition_id = ${id}
          for no key update`,
        () => definitionNotFound(id),
      );
      if (!decidesOver(context.caller, definition.ownerTeam)) throw notYourDefinition(context.caller, id);
      if (revisions && !revisions.includes(definition.revision))
        throw new Problem("revision_mismatch", `The definition is at revision ${definition.revision}.`);
      await tell(context, "reason", reason);
      return work(repo, context, definition);
    });
  }

  async function statusOf({ db }: Context, id: string, version: string): Promise<Status> {
    const { status } = await db.one(
      "definitions.status",
      Place,
      sql`select v.status from cams.definition_versions v where (v.definition_id, v.version) = (${id}, ${version})`,
      () => versionNotFound(id, version),
    );
    return status;
  }

  async function versionsOf({ db }: Context, id: string): Promise<Set<string>> {
    const rows = await db.many(
      "definitions.numbers",
      Numbered,
      sql`select v.version from cams.definition_versions v where v.definition_id = ${id}`,
    );
    return new Set(rows.map(({ version }) => version));
  }

  async function makeCurrent(context: Context, id: string, version: string | undefined): Promise<void> {
    const { db, now, caller } = context;
    await db.execute(
      "definitions.make_current",
      sql`
        update cams.definitions d set
          current_version = ${version}, current_source = case when ${version}::text is not null then 'api' end,
          retired_at = case when ${version}::text is null then ${now} end,
          updated_at = ${now}, updated_by = ${caller.principal}, revision = d.revision + 1
        where d.definition_id = ${id}`,
    );
    await route(context, [id]);
  }

  /** The highest of what is left is another, and the revision tells it. */
  async function touch({ db, now, caller }: Context, id: string, highestVersion: string): Promise<void> {
    await db.execute(
      "definitions.touch",
      sql`
        update cams.definitions d set
          highest_version = ${highestVersion}, updated_at = ${now}, updated_by = ${caller.principal},
          revision = d.revision + 1
        where d.definition_id = ${id}`,
    );
  }

  /** Takes one document in, and answers its version. */
  async function takeOne(repo: Repository, document: Document, manner: Manner) {
    const { id, version } = document.metadata;
    const [outcome] = await repo.definitions.take([document], manner);
    if (outcome?.problem) throw outcome.problem;
    const taken = await repo.definitions.get(id, version);
    return { ...taken, ...(outcome?.warnings.length && { warnings: outcome.warnings }) };
  }

  return {
    /**
     * A new draft, or the content of one there is. The same content again changes nothing.
     * @throws Problem version_immutable, definition_kind_mismatch, definition_retired; forbidden
     */
    create(document: Document) {
      const manner = { source: "api", publish: false, activate: "never", revives: false } as const;
      return transaction((repo) => takeOne(repo, document, manner));
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
      return deciding(id, { revisions, reason: given.reason }, async (repo, context, definition) => {
        const taken = await versionsOf(context, id);
        const { document } = await repo.definitions.get(id, definition.currentVersion ?? definition.highestVersion);
        const base = ownedBy(document, definition.ownerTeam);
        const named = (patch.metadata as { version?: unknown } | null | undefined)?.version;
        const version =
          given.version ?? (typeof named === "string" ? named : nextPatch(document.metadata.version, taken));
        if (taken.has(version)) throw new Problem("version_exists", `${id} has a version ${version} already.`);
        const manner = { source: "api", publish: given.publish, activate: "always", revives: false } as const;
        return takeOne(repo, patched(base, patch, version), manner);
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
      return deciding(id, { revisions, reason: given.reason }, async (repo) => {
        const { status, document } = await repo.definitions.get(id, version);
        if (status === "DEPRECATED")
          throw new Problem("version_immutable", `${id} ${version} is deprecated: it is not published again.`);
        const activate = given.activate ? "always" : "never";
        return takeOne(repo, document, { source: "api", publish: true, activate, revives: true });
      });
    },

    /**
     * Moves what is current to any published version.
     * @throws Problem definition_not_found, version_not_found, version_not_published, revision_mismatch; forbidden
     */
    activate(id: string, version: string, reason: string | undefined, revisions: Revisions) {
      return deciding(id, { revisions, reason }, async (repo, context, { currentVersion }) => {
        const status = await statusOf(context, id, version);
        if (status !== "PUBLISHED") throw new Problem("version_not_published", `${id} ${version} is ${status}.`);
        if (currentVersion !== version) await makeCurrent(context, id, version);
        return repo.definitions.get(id, version);
      });
    },

    /**
     * Marks a published version as one that nothing new should use.
     * @throws Problem definition_not_found, version_not_found, version_not_published, version_current,
     * revision_mismatch; forbidden
     */
    deprecate(id: string, version: string, reason: string | undefined, revisions: Revisions) {
      return deciding(id, { revisions, reason }, async (repo, context, { currentVersion, highestVersion }) => {
        const { db, now, caller } = context;
        const status = await statusOf(context, id, version);
        if (status === "DRAFT") throw new Problem("version_not_published", `${id} ${version} is a draft.`);
        if (currentVersion === version)
          throw new Problem("version_current", `${id} ${version} is current: activate another version first.`);
        if (status === "PUBLISHED") {
          await db.execute(
            "definitions.deprecate",
            sql`
              update cams.definition_versions v
              set status = 'DEPRECATED', deprecated_at = ${now}, deprecated_by = ${caller.principal}
              where (v.definition_id, v.version) = (${id}, ${version})`,
          );
          await touch(context, id, highestVersion);
        }
        return repo.definitions.get(id, version);
      });
    },

    /**
     * Deletes a draft; with the last version of a definition it is gone itself.
     * @throws Problem definition_not_found, version_not_found, version_immutable, revision_mismatch; forbidden
     */
    deleteVersion(id: string, version: string, reason: string | undefined, revisions: Revisions): Promise<void> {
      return deciding(id, { revisions, reason }, async (_, context) => {
        const status = await statusOf(context, id, version);
        if (status !== "DRAFT") throw new Problem("version_immutable", `${id} ${version} is ${status}, not a draft.`);
        await context.db.execute(
          "definitions.delete_version",
          sql`delete from cams.definition_versions v where (v.definition_id, v.version) = (${id}, ${version})`,
        );
        const left = highest(await versionsOf(context, id));
        if (left !== undefined) await touch(context, id, left);
        else
          await context.db.execute(
            "definitions.delete",
            sql`delete from cams.definitions d where d.definition_id = ${id}`,
          );
      });
    },

    /**
     * Takes a definition out of use: none of its versions is current, and nothing new is made of it. It can be read on,
     * and lives again with a version that is published or activated.
     * @throws Problem definition_not_found, definition_in_use, revision_mismatch; forbidden
     */
    retire(id: string, reason: string | undefined, revisions: Revisions): Promise<void> {
      return deciding(id, { revisions, reason }, async (_, context, { retired }) => {
        const teams = await context.db.many(
          "definitions.teams_of",
          Named,
          sql`
            select d.definition_id as id
            from cams.definition_versions v
            join cams.definitions d on (d.definition_id, d.current_version) = (v.definition_id, v.version)
            where v.member_lock @> jsonb_build_array(jsonb_build_object('id', ${id}::text))
            order by d.definition_id`,
        );
        if (teams.length > 0)
          throw new Problem("definition_in_use", `${id} is a member of ${teams.map((team) => team.id).join(", ")}.`);
        if (!retired) await makeCurrent(context, id, undefined);
      });
    },
  };
}

/** A document that names its owner, after it was given to another: who owns it now goes on without naming itself. */
function ownedBy(document: Document, ownerTeam: string | undefined): Document {
  const { metadata } = document;
  if (metadata.ownerTeam === undefined || ownerTeam === undefined) return document;
  return { ...document, metadata: { ...metadata, ownerTeam } };
}
