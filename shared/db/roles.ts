import type pg from "pg";
import { DATABASE_ROLES, type DatabaseRole } from "../rules/access.ts";

/** Thrown when code and schema do not belong together; the message is one clear line. */
export class SchemaError extends Error {}

const OWNER: DatabaseRole = "cams_migrator";
/** Databases of one server share its roles: what another one's migration did at the same time is tried again. */
const MOST_TRIES = 10;

const NO_PRIVILEGE = "42501";
const EXISTS_ALREADY = ["42710", "23505"];
/** Without the right to, or because another did the same ("tuple concurrently updated" has no code of its own). */
const GIVEN_UP = [NO_PRIVILEGE, "XX000", ...EXISTS_ALREADY];

/**
 * Makes the roles that the server does not have, and the connected user a member of those that it may take.
 * @throws SchemaError when roles are missing that the user may not make, or it may not become the owner
 */
export async function prepareRoles(client: pg.Client): Promise<void> {
  const { rows } = await client.query(
    "select name from unnest($1::text[]) name where not exists (select from pg_roles where rolname = name)",
    [DATABASE_ROLES],
  );
  const missing = rows.map(({ name }) => name as string);
  for (const role of missing)
    await client.query(`create role ${role}`).catch(async (error) => {
      if (EXISTS_ALREADY.includes(error.code)) return;
      if (error.code !== NO_PRIVILEGE) throw error;
      const { user } = await server(client);
      throw new SchemaError(
        `the database roles ${missing.join(", ")} are missing, and ${user} cannot make them without CREATEROLE`,
      );
    });
  for (const role of DATABASE_ROLES) await join(client, role);
}

/** Lets the connected user take a role, if it cannot yet; only that of the owner must succeed. */
async function join(client: pg.Client, role: DatabaseRole): Promise<void> {
  const { user, version } = await server(client);
  // Before 16 every member may take the role, and inherits unless the user was made not to.
  const [take, inherit, how] =
    version < 16 ? ["member", "member", ""] : ["set", "usage", "with inherit true, set true"];
  const { rows } = await client.query(
    "select pg_has_role(current_user, $1, $2) as takes, pg_has_role(current_user, $1, $3) as inherits",
    [role, take, inherit],
  );
  const { takes, inherits } = rows[0];
  if (takes && inherits) return;
  for (let tries = 1; ; tries++) {
    const code = await client.query(`grant ${role} to current_user ${how}`).then(
      () => undefined,
      (error) => {
        if (tries === MOST_TRIES || !GIVEN_UP.includes(error.code)) throw error;
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

async function server(client: pg.Client): Promise<{ user: string; version: number }> {
  const { rows } = await client.query(
    "select current_user as user, current_setting('server_version_num')::integer / 10000 as version",
  );
  return rows[0];
}
