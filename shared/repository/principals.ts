import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { Problem, principalNotFound } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { Timestamp } from "../schemas/common.ts";
import {
  Principal,
  type PrincipalFilter,
  PrincipalRole,
  type PrincipalToPut,
  PrincipalWithKeys,
} from "../schemas/principal.ts";
import type { Context } from "./index.ts";
import { principalKeys } from "./principal-keys.ts";

/** A principal as the gate needs it. */
const Registered = z.object({
  principal: z.string(),
  role: PrincipalRole,
  team: z.string().optional(),
  addresses: z.array(z.string()),
});
const StoredKey = Registered.extend({
  hash: z.instanceof(Buffer),
  limitedTo: z.array(z.string()).optional(),
  endsInMs: z.number().optional(),
});
const Cursor = z.tuple([Timestamp, z.string()]);

const principal = sql`
  p.principal_id as "principalId", p.role, p.team, p.addresses, p.created_at as "createdAt",
  p.updated_at as "updatedAt", p.updated_by as "updatedBy", p.revision`;
const registered = sql`p.principal_id as principal, p.role, p.team, p.addresses`;

/** Who may call, and their keys. */
export function principals(context: Context) {
  const { db, now, caller, transaction } = context;
  return {
    ...principalKeys(context),

    /** A principal, for the gate. */
    async principal(id: string) {
      return db.maybe(
        "principals.principal",
        Registered,
        sql`select ${registered} from cams.principals p where p.principal_id = ${id}`,
      );
    },

    /** A key and its principal, for the gate, which judges its end. */
    async key(keyId: string) {
      return db.maybe(
        "principals.key",
        StoredKey,
        sql`
          select ${registered}, k.secret_hash as hash, k.addresses as "limitedTo",
            (extract(epoch from k.expires_at - ${now}) * 1000)::float8 as "endsInMs"
          from cams.api_keys k join cams.principals p using (principal_id)
          where k.key_id = ${keyId}`,
      );
    },

    /**
     * Registers a principal, or makes it what is given. The same again changes nothing.
     * @throws Problem revision_mismatch
     */
    async put(id: string, given: z.output<typeof PrincipalToPut>, revisions?: readonly number[]) {
      const changed = sql`(p.role, p.team, p.addresses) is distinct from (excluded.role, excluded.team, excluded.addresses)`;
      const ifChanged = (is: Sql, was: Sql) => sql`case when ${changed} then ${is} else ${was} end`;
      return transaction(async (_, { db }) => {
        const put = await db.maybe(
          "principals.put",
          Principal,
          sql`
            insert into cams.principals as p
              (principal_id, role, team, addresses, created_at, updated_at, updated_by)
            select ${id}, ${given.role}, ${given.team}, ${given.addresses}::text[], ${now}, ${now}, ${caller.principal}
            -- With revisions named, only what has one of them is changed.
            where ${revisions}::int[] is null or exists (select from cams.principals where principal_id = ${id})
            on conflict (principal_id) do update set
              role = excluded.role, team = excluded.team, addresses = excluded.addresses,
              updated_at = ${ifChanged(sql`excluded.updated_at`, sql`p.updated_at`)},
              updated_by = ${ifChanged(sql`excluded.updated_by`, sql`p.updated_by`)},
              revision = p.revision + ${ifChanged(sql`1`, sql`0`)}
            where ${revisions}::int[] is null or p.revision = any (${revisions}::int[])
            returning ${principal}`,
        );
        if (!put) throw new Problem("revision_mismatch", "The principal is at another revision.");
        return put;
      });
    },

    /** @throws Problem principal_not_found */
    async get(id: string) {
      return db.one(
        "principals.get",
        PrincipalWithKeys,
        sql`
          select ${principal}, coalesce((
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'keyId', k.key_id, 'description', k.description, 'addresses', k.addresses,
                'expiresAt', cams.iso(k.expires_at), 'createdAt', cams.iso(k.created_at), 'createdBy', k.created_by))
              order by k.key_id desc)
            from cams.api_keys k where k.principal_id = p.principal_id
          ), '[]') as keys
          from cams.principals p
          where p.principal_id = ${id}`,
        () => principalNotFound(id),
      );
    },

    /** Newest first, without their keys. */
    async list(filter: z.output<typeof PrincipalFilter>) {
      const after = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "principals.list",
        Principal,
        sql`
          select ${principal}
          from cams.principals p
          where ${and([
            filter.role && sql`p.role = ${filter.role}`,
            filter.team !== undefined && sql`p.team = ${filter.team}`,
            after && sql`(p.created_at, p.principal_id) < (${after[0]}::timestamptz, ${after[1]})`,
          ])}
          order by p.created_at desc, p.principal_id desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, (row) => [row.createdAt, row.principalId]);
    },

    /**
     * Deletes a principal with its keys.
     * @throws Problem principal_not_found, revision_mismatch
     */
    async delete(id: string, revisions?: readonly number[]): Promise<void> {
      await transaction(async (repo, { db }) => {
        const which = revisions && sql`p.revision = any (${revisions}::int[])`;
        const deleted = await db.execute(
          "principals.delete",
          sql`delete from cams.principals p where ${and([sql`p.principal_id = ${id}`, which])}`,
        );
        if (deleted > 0) return;
        const { revision } = await repo.principals.get(id);
        throw new Problem("revision_mismatch", `The principal is at revision ${revision}.`);
      });
    },
  };
}
