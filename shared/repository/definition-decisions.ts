import * as z from "zod";
import { sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { highest } from "../rules/versions.ts";
import { deciding, type Revisions, statusOf, versionsOf } from "./definition-lock.ts";
import { route } from "./definition-store.ts";
import type { Context } from "./index.ts";
import { endPool } from "./task-ends.ts";

const Named = z.object({ id: z.string() });
const Counted = z.object({ agents: z.int() });

/** A pool has no bound, and 100,000 tasks take 10 s to end with it: a retirement gets what a scheduled function gets. */
const MANY = { statementTimeoutSeconds: 55 };

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

/** What is decided about versions there are. */
export function definitionDecisions(context: Context) {
  return {
    /**
     * Moves what is current to any published version, and keeps it there, whatever is loaded.
     * @throws Problem definition_not_found, version_not_found, version_not_published, member_unresolved,
     * revision_mismatch; forbidden
     */
    activate(id: string, version: string, reason: string | undefined, revisions: Revisions) {
      const what = { revisions, reason, membersOf: sql`${version}` };
      return deciding(context, id, what, async (repo, bound, { currentVersion, currentSource }, members) => {
        const status = await statusOf(bound, id, version);
        if (status !== "PUBLISHED") throw new Problem("version_not_published", `${id} ${version} is ${status}.`);
        const retired = members.filter((member) => member.retired).map((member) => member.id);
        if (retired.length > 0)
          throw new Problem("member_unresolved", `${id} ${version} has retired members: ${retired.join(", ")}.`);
        // What a loader made current is from now on what somebody decided.
        if (currentVersion !== version || currentSource !== "api") await makeCurrent(bound, id, version);
        return repo.definitions.get(id, version);
      });
    },

    /**
     * Marks a published version as one that nothing new should use.
     * @throws Problem definition_not_found, version_not_found, version_not_published, version_current,
     * revision_mismatch; forbidden
     */
    deprecate(id: string, version: string, reason: string | undefined, revisions: Revisions) {
      return deciding(context, id, { revisions, reason }, async (repo, bound, { currentVersion, highestVersion }) => {
        const { db, now, caller } = bound;
        const status = await statusOf(bound, id, version);
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
          await touch(bound, id, highestVersion);
        }
        return repo.definitions.get(id, version);
      });
    },

    /**
     * Deletes a draft; with the last version of a definition it is gone itself.
     * @throws Problem definition_not_found, version_not_found, version_immutable, revision_mismatch; forbidden
     */
    deleteVersion(id: string, version: string, reason: string | undefined, revisions: Revisions): Promise<void> {
      return deciding(context, id, { revisions, reason }, async (_, bound) => {
        const status = await statusOf(bound, id, version);
        if (status !== "DRAFT") throw new Problem("version_immutable", `${id} ${version} is ${status}, not a draft.`);
        await bound.db.execute(
          "definitions.delete_version",
          sql`delete from cams.definition_versions v where (v.definition_id, v.version) = (${id}, ${version})`,
        );
        const left = highest(await versionsOf(bound, id));
        if (left !== undefined) await touch(bound, id, left);
        else
          await bound.db.execute(
            "definitions.delete",
            sql`delete from cams.definitions d where d.definition_id = ${id}`,
          );
      });
    },

    /**
     * Takes a definition out of use: none of its versions is current, and nothing new is made of it; what is in its pool
     * is cancelled. It can be read on, and lives again with a version that is published or activated.
     * @throws Problem definition_not_found, definition_in_use, revision_mismatch; forbidden
     */
    retire(id: string, reason: string | undefined, revisions: Revisions): Promise<void> {
      return deciding(context, id, { revisions, reason, ...MANY }, async (_, bound, { retired }) => {
        const teams = await bound.db.many(
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
        const { agents } = await bound.db.one(
          "definitions.agents_of",
          Counted,
          sql`select count(*) as agents from cams.agents a where a.definition_id = ${id}`,
        );
        if (agents > 0)
          throw new Problem(
            "definition_in_use",
            `${agents} ${agents === 1 ? "agent is" : "agents are"} bound to ${id}.`,
          );
        if (retired) return;
        await endPool(bound, id);
        await makeCurrent(bound, id, undefined);
      });
    },
  };
}
