import * as z from "zod";
import { sql } from "../db/sql.ts";
import { definitionNotFound, forbidden, Problem, versionNotFound } from "../errors.ts";
import { isUnbound } from "../rules/access.ts";
import type { VersionStatus } from "../schemas/definition.ts";
import type { Context } from "./index.ts";

const Found = z.object({
  ownerTeam: z.string().optional(),
  kind: z.enum(["Agent", "Team"]),
  retired: z.boolean(),
  currentVersion: z.string().optional(),
  status: z.custom<VersionStatus>().optional(),
});

/**
 * The version of a definition that an agent is bound to: the one asked for, or the current one. Whoever is bound claims
 * from the definition's pool and spends its budget: callers of its team bind, and administrators.
 * @throws Problem definition_not_found, version_not_found, version_not_published, definition_kind_mismatch,
 * definition_retired; forbidden when it is another team's
 */
export async function versionToBind(
  { db, caller }: Context,
  { id, version }: { id: string; version?: string | undefined },
) {
  const found = await db.one(
    "agents.definition",
    Found,
    sql`
      select d.owner_team as "ownerTeam", d.kind, d.retired_at is not null as retired, d.current_version as "currentVersion", v.status
      from cams.definitions d
      left join cams.definition_versions v
        on v.definition_id = d.definition_id and v.version = coalesce(${version}, d.current_version)
      where d.definition_id = ${id}`,
    () => definitionNotFound(id),
  );
  if (!isUnbound(caller) && (found.ownerTeam === undefined || found.ownerTeam !== caller.team))
    throw forbidden(`${caller.principal} does not bind agents to ${id}: another team owns it.`);
  if (found.kind !== "Agent") throw new Problem("definition_kind_mismatch", `${id} is a ${found.kind}.`);
  if (found.retired) throw new Problem("definition_retired", `${id} is retired.`);
  const bound = version ?? found.currentVersion;
  if (bound === undefined || found.status === undefined || found.currentVersion === undefined)
    throw versionNotFound(id, found.currentVersion === undefined ? undefined : version);
  if (found.status !== "PUBLISHED") throw new Problem("version_not_published", `${id} ${bound} is ${found.status}.`);
  return bound;
}
