import type pg from "pg";
import { DATABASE_ROLES, type DatabaseRole } from "../rules/access.ts";
import { ADMINISTRATORS, becomePreparer, MET_ANOTHER, MOST_TRIES, NO_PRIVILEGE, SchemaError, server } from "./roles.ts";

/** A database user, and the role that it serves under. */
export interface Grant {
  user: string;
  role: DatabaseRole;
}

/** `user=role` for each right given and taken back. */
interface Settled {
  granted: string[];
  revoked: string[];
}

const DEADLOCK = "40P01";

/**
 * The members of our roles, by who granted it. Left out is what the server notes for who makes a role (16 on): it has the
 * role's administration by the first superuser, which nobody else can take back, and by that alone does not serve.
 */
const MEMBERSHIPS = `
  with membership as (
    select role.rolname as role, member.rolname as "user", grantor.rolname as grantor, m.admin_option as administers,
      options.inherits and options.takes as serves
    from pg_auth_members m
      join pg_roles role on role.oid = m.roleid
      join pg_roles member on member.oid = m.member
      left join pg_roles grantor on grantor.oid = m.grantor
      cross join lateral (
        select coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true) as inherits,
          coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) as takes
      ) options
    where role.rolname = any ($3) and (options.inherits or options.takes or m.grantor <> 10)
  ), wanted as (
    select distinct role, "user" from unnest($1::text[], $2::text[]) wanted ("user", role)
  )`;

/** Who may pass a role on is no ordinary member either: it is taken back, and granted anew where it is wanted. */
const REVOCATIONS = `${MEMBERSHIPS}
  select role, "user", not $5 or pg_has_role(current_user, grantor, 'usage') as ours, format('%I from %I', role, "user")
    || case when $5 then format(' granted by %I', grantor) else '' end as what
  from membership
  where "user" <> $4 and "user" <> session_user
    and (administers or not exists (select from wanted w where w.role = membership.role and w."user" = membership."user"))
  order by role, "user", grantor`;

const GRANTS = `${MEMBERSHIPS}
  select role, "user", format('%I to %I', role, "user") as what
  from wanted
  where not exists (
    select from membership m where m.role = wanted.role and m."user" = wanted."user" and m.serves
  )
  order by role, "user"`;

/**
 * Refuses users that cannot be granted anything.
 * @throws SchemaError naming all users that the server does not have
 */
export async function refuseUnknownUsers(client: pg.Client, grants: readonly Grant[]): Promise<void> {
  const { rows } = await client.query(
    "select distinct name from unnest($1::text[]) name where not exists (select from pg_roles where rolname = name) order by 1",
    [grants.map(({ user }) => user)],
  );
  if (rows.length > 0)
    throw new SchemaError(
      `DATABASE_GRANTS names users that the database does not have: ${rows.map(({ name }) => name).join(", ")}`,
    );
}

/**
 * Makes exactly these users members of our roles, beside the connected one and those of the server's administration; all
 * or nothing. A connection that is open keeps its role until it ends.
 * @throws SchemaError when the connected user may not grant or revoke what it would have to
 */
export async function settleGrants(client: pg.Client, grants: readonly Grant[]): Promise<Settled> {
  await becomePreparer(client);
  for (let tries = 1; ; tries++) {
    try {
      await client.query("begin");
      const settled = await settle(client, grants);
      await client.query("commit");
      return settled;
    } catch (error) {
      await client.query("rollback");
      const code = (error as { code?: string }).code ?? "";
      if (tries === MOST_TRIES || ![DEADLOCK, ...MET_ANOTHER].includes(code)) throw error;
    }
  }
}

async function settle(client: pg.Client, grants: readonly Grant[]): Promise<Settled> {
  const { user, how, grantors } = await server(client);
  const values = [grants.map((grant) => grant.user), grants.map((grant) => grant.role), DATABASE_ROLES];
  const run = async (verb: string, rows: { what: string }[], rest: string) => {
    for (const { what } of rows)
      await client.query(`${verb} ${what} ${rest}`).catch((error) => {
        if (error.code !== NO_PRIVILEGE) throw error;
        throw new SchemaError(`${user} cannot ${verb} ${what}: ${error.message}`);
      });
  };
  const revocations = () => client.query(REVOCATIONS, [...values, ADMINISTRATORS, grantors]);
  const { rows: revoked } = await revocations();
  // What a stranger granted on is the stranger's to revoke, but goes with what the stranger has. What is then left fails.
  await run(
    "revoke",
    revoked.filter(({ ours }) => ours),
    "cascade",
  );
  await run("revoke", (await revocations()).rows, "cascade");
  const { rows: granted } = await client.query(GRANTS, values);
  await run("grant", granted, how);
  return { granted: granted.map(nameOf), revoked: [...new Set(revoked.map(nameOf))] };
}

function nameOf({ user, role }: Grant): string {
  return `${user}=${role}`;
}
