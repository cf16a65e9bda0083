import * as z from "zod";
import { sql } from "../db/sql.ts";
import { definitionNotFound, Problem, versionNotFound } from "../errors.ts";
import type { VersionStatus } from "../schemas/definition.ts";
import type { Context } from "./index.ts";

const Found = z.object({
  kind: z.enum(["Agent", "Team"]),
  retired: z.boolean(),
  currentVersion: z.string().optional(),
  status: z.custom<VersionStatus>().optional(),
});

/**
 * The version of a definition that an agent is bound to: the one asked for, or the current one.
 * @throws Problem definition_not_found, version_not_found, version_not_published, definition_kind_mismatch,
 * definition_retired
 */
export async function versionToBind({ db }: Context, { id, version }: { id: string; version?: string | undefined }) {
  const found = await db.one(
    "agents.definition",
    Found,
    sql`
      select d.kind, d.retired_at is not null as retired, d.current_version as "currentVersion", v.status
      from cams.definitions d
      left join cams.definition_versions v
        on v.definition_id = d.definition_id and v.version = coalesce(${version}, d.current_version)
      where d.definition_id = ${id}`,
    () => definitionNotFound(id),
  );
  if (found.kind !== "Agent") throw new Problem("definition_kind_mismatch", `${id} is a ${found.kind}.`);
  if (found.retired) throw new Problem("definition_retired", `${id} is retired.`);
  const bound = version ?? found.currentVersion;
  if (bound === undefined || found.status === undefined || found.currentVersion === undefined)
    throw versionNotFound(id, found.currentVersion === undefined ? undefined : version);
  if (found.status !== "PUBLISHED") throw new Problem("version_not_published", `${id} ${bound} is ${found.status}.`);
  return bound;
}
