import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { definitionNotFound, Problem, versionNotFound } from "../errors.ts";
import { decidesOver } from "../rules/access.ts";
import { notYourDefinition } from "../rules/definition-plan.ts";
import type { DefinitionSource, VersionStatus } from "../schemas/definition.ts";
import { tell } from "./definition-store.ts";
import type { Context, Repository } from "./index.ts";

type Locked = z.output<typeof Locked>;
const Locked = z.object({
  id: z.string(),
  ownerTeam: z.string().optional(),
  currentVersion: z.string().optional(),
  currentSource: z.custom<DefinitionSource>().optional(),
  highestVersion: z.string(),
  retired: z.boolean(),
  revision: z.int(),
});
const Place = z.object({ status: z.custom<VersionStatus>() });
const Numbered = z.object({ version: z.string() });

export type Revisions = readonly number[] | undefined;

interface Deciding {
  revisions: Revisions;
  reason: string | undefined;
  /** Of which version the members are locked too: of a team that may become current. */
  membersOf?: Sql | undefined;
  /** How long a statement may take, where it may take long. */
  statementTimeoutSeconds?: number;
}

/**
 * Runs `work` in a transaction with the definition's row locked: decisions about one definition are made one after the
 * other. Members are locked with it and in one order, as imports do: a team locked before its members would deadlock
 * with an import that has both. Their keys too, at once: whether one is current is part of a key, which who binds an agent
 * or submits a task to the pool holds, and a lock that had to become stronger later could deadlock.
 * @throws Problem definition_not_found, revision_mismatch; forbidden when another team owns it
 */
export function deciding<T>(
  { transaction }: Context,
  id: string,
  { revisions, reason, membersOf, ...options }: Deciding,
  work: (repo: Repository, context: Context, definition: Locked, members: Locked[]) => Promise<T>,
): Promise<T> {
  return transaction(async (repo, context) => {
    const locked = await context.db.many(
      "definitions.decide",
      Locked,
      sql`
        select d.definition_id as id, d.owner_team as "ownerTeam", d.current_version as "currentVersion", d.current_source as "currentSource",
          d.highest_version as "highestVersion", d.retired_at is not null as retired, d.revision
        from cams.definitions d
        where d.definition_id = ${id} or d.definition_id in (
          select m.member ->> 'id'
          from cams.definition_versions v
          cross join jsonb_array_elements(coalesce(v.document -> 'members', '[]')) as m (member)
          where (v.definition_id, v.version) = (${id}, ${membersOf ?? sql`null`}))
        order by d.definition_id
        for update`,
    );
    const definition = locked.find((one) => one.id === id);
    if (!definition) throw definitionNotFound(id);
    if (!decidesOver(context.caller, definition.ownerTeam)) throw notYourDefinition(context.caller, id);
    if (revisions && !revisions.includes(definition.revision))
      throw new Problem("revision_mismatch", `The definition is at revision ${definition.revision}.`);
    await tell(context, "reason", reason);
    const members = locked.filter((one) => one.id !== id);
    return work(repo, context, definition, members);
  }, options);
}

/** @throws Problem version_not_found */
export async function statusOf({ db }: Context, id: string, version: string): Promise<VersionStatus> {
  const { status } = await db.one(
    "definitions.status",
    Place,
    sql`select v.status from cams.definition_versions v where (v.definition_id, v.version) = (${id}, ${version})`,
    () => versionNotFound(id, version),
  );
  return status;
}

/** The numbers of all versions of a definition. */
export async function versionsOf({ db }: Context, id: string): Promise<Set<string>> {
  const rows = await db.many(
    "definitions.numbers",
    Numbered,
    sql`select v.version from cams.definition_versions v where v.definition_id = ${id}`,
  );
  return new Set(rows.map(({ version }) => version));
}
