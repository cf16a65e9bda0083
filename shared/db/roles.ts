import type pg from "pg";
import { Problem } from "../errors.ts";
import { DATABASE_ROLES, type DatabaseRole } from "../rules/access.ts";

/** Thrown when code, schema and rights do not belong together; the message is one clear line. */
export class SchemaError extends Problem {
  constructor(detail: string) {
    super("migration_refused", `${detail}.`);
  }
}

const OWNER: DatabaseRole = "cams_migrator";
/** Cloud SQL's administrators: not a superuser, and its CREATEROLE is not inherited, so that it must be taken. */
export const ADMINISTRATORS = "cloudsqlsuperuser";
/** Databases of one server share its roles: what another one's migration did at the same time is tried again. */
export const MOST_TRIES = 10;

export const NO_PRIVILEGE = "42501";
const EXISTS_ALREADY = ["42710", "23505"];
/** Another did the same at the same time: "tuple concurrently updated" has no code of its own. */
export const MET_ANOTHER = ["XX000", ...EXISTS_ALREADY];

/** Runs what follows on this connection as who may make roles and schema: Cloud SQL's administrators, or the user. */
export async function becomePreparer(client: pg.Client): Promise<void> {
  await client.query("reset role");
  const { take } = await server(client);
  // A superuser would only lose by it, on a server to which somebody brought the role with a dump.
  const { rows } = await client.query(
    `select from pg_roles where rolname = $1 and pg_has_role(session_user, oid, $2)
       and not (select rolsuper from pg_roles where rolname = session_user)`,
    [ADMINISTRATORS, take],
  );
  if (rows.length > 0) await client.query(`set role ${ADMINISTRATORS}`);
}

/**
 * Makes the roles that the server does not have, and the connected user a member of those that it may take. Leaves the
 * connection to who prepares.
 * @throws SchemaError when roles are missing that the user may not make, or it may not become the owner
 */
export async function prepareRoles(client: pg.Client): Promise<void> {
  await becomePreparer(client);
  const { rows } = await client.query(
    "select name from unnest($1::text[]) name where not exists (select from pg_roles where rolname = name)",
    [DATABASE_ROLES],
  );
  const missing = rows.map(({ name }) => name as string);
  for (const role of missing)
    await client.query(`create role ${role}`).catch(async (error) => {
      if (EXISTS_ALREADY.includes(error.code)) return;
      if (error.code !== NO_PRIVILEGE) throw error;
      const { user, managed } = await server(client);
      const right = managed ? `the role ${ADMINISTRATORS}` : "CREATEROLE";
      throw new SchemaError(
        `the database roles ${missing.join(", ")} are missing, and ${user} cannot make them without ${right}`,
      );
    });
  for (const role of DATABASE_ROLES) await join(client, role, "session_user");
  // What it makes for the first migration is only its to hand over if it may take the owner's role.
  await join(client, OWNER, "current_user");
}

/** Lets the connected user, or as whom it prepares, take a role, if it cannot yet; only the owner's must succeed. */
async function join(client: pg.Client, role: DatabaseRole, member: "session_user" | "current_user"): Promise<void> {
  const { user, take, inherit, how } = await server(client);
  const { rows } = await client.query(
    `select pg_has_role(${member}, $1, $2) as takes, pg_has_role(${member}, $1, $3) as inherits`,
    [role, take, inherit],
  );
  const { takes, inherits } = rows[0];
  if (takes && inherits) return;
  for (let tries = 1; ; tries++) {
    const code = await client.query(`grant ${role} to ${member} ${how}`).then(
      () => undefined,
      (error) => {
        if (tries === MOST_TRIES || ![NO_PRIVILEGE, ...MET_ANOTHER].includes(error.code)) throw error;
        return error.code as string;
      },
    );
    if (code === NO_PRIVILEGE && role === OWNER && !takes)
      throw new SchemaError(`${user} cannot migrate: it is not a member of the database role ${role}`);
    if (code === undefined || code === NO_PRIVILEGE) return;
  }
}

/** In order: who gets a table must be able to create in its schema. Sequences, indexes and row types go with tables. */
const HAND_OVER = `
  do $do$
  declare
    statement text;
  begin
    for statement in
      select format('alter schema cams owner to ${OWNER}') from pg_namespace
      where nspname = 'cams' and nspowner <> '${OWNER}'::regrole
      union all
      select format('alter table cams.%I owner to ${OWNER}', c.relname) from pg_class c
      where c.relnamespace = to_regnamespace('cams') and c.relkind in ('r', 'p', 'v', 'm', 'S')
        and c.relowner <> '${OWNER}'::regrole
        and not exists (
          select from pg_depend d
          where d.classid = 'pg_class'::regclass and d.objid = c.oid and c.relkind = 'S' and d.deptype in ('a', 'i')
        )
      union all
      select format('alter routine %s owner to ${OWNER}', p.oid::regprocedure) from pg_proc p
      where p.pronamespace = to_regnamespace('cams') and p.proowner <> '${OWNER}'::regrole
    loop
      execute statement;
    end loop;
  end
  $do$`;

/**
 * Makes the role that migrates the owner of everything: also of what was made before there were roles.
 * @throws SchemaError when what another user owns is not the connected user's to give
 */
export async function handOver(client: pg.Client): Promise<void> {
  await client.query(HAND_OVER).catch(async (error) => {
    if (error.code !== NO_PRIVILEGE) throw error;
    const { user } = await server(client);
    throw new SchemaError(`${user} cannot hand over the schema cams to ${OWNER}: ${error.message}`);
  });
}

/** Runs what follows on this connection as the owner. */
export async function becomeOwner(client: pg.Client): Promise<void> {
  await client.query(`set role ${OWNER}`);
}

/** Who is connected where: how the server calls taking a role and having its rights, and how a role is given for both. */
export async function server(client: pg.Client) {
  const { rows } = await client.query(
    `select session_user as user, current_setting('server_version_num')::integer / 10000 as version,
       to_regrole($1) is not null as managed`,
    [ADMINISTRATORS],
  );
  const { user, version, managed } = rows[0] as { user: string; version: number; managed: boolean };
  // Before 16 every member may take the role, and inherits unless the user was made not to; who granted it is no matter.
  return version < 16
    ? { user, managed, take: "member", inherit: "member", how: "", grantors: false }
    : { user, managed, take: "set", inherit: "usage", how: "with inherit true, set true", grantors: true };
}
