import * as z from "zod";
import { sql } from "../db/sql.ts";
import { Problem, principalNotFound } from "../errors.ts";
import { ApiKey, type ApiKeyToCreate } from "../schemas/principal.ts";
import type { Context } from "./index.ts";

/** Most keys of a principal: enough to give each of its agents one, and one answer shows them all. */
const MOST_KEYS = 100;

const key = sql`
  k.key_id as "keyId", k.description, k.addresses, k.expires_at as "expiresAt", k.created_at as "createdAt",
  k.created_by as "createdBy"`;

const Counted = z.object({ keys: z.int() });

/** The keys of principals. */
export function principalKeys({ db, now, caller, transaction }: Context) {
  return {
    /**
     * Gives a principal a key, of which only the hash of its secret is kept.
     * @throws Problem principal_not_found, too_many_keys; invalid_request when it would have ended already
     */
    async createKey(id: string, given: z.output<typeof ApiKeyToCreate>, made: { keyId: string; hash: Buffer }) {
      return transaction(async (_, { db }) => {
        // First the principal's row; counted only when it is had, so that of several at once the limit holds.
        await touch(db, id);
        const { keys } = await db.one(
          "principals.count_keys",
          Counted,
          sql`select count(*) as keys from cams.api_keys k where k.principal_id = ${id}`,
        );
        if (keys >= MOST_KEYS)
          throw new Problem("too_many_keys", `A principal has ${MOST_KEYS} keys at most: revoke one first.`);
        const created = await db.maybe(
          "principals.create_key",
          ApiKey,
          sql`
            insert into cams.api_keys as k
              (key_id, principal_id, secret_hash, description, addresses, expires_at, created_at, created_by)
            select ${made.keyId}, ${id}, ${made.hash}, ${given.description}, ${given.addresses}::text[],
              ${given.expiresAt}::timestamptz, ${now}, ${caller.principal}
            where coalesce(${given.expiresAt}::timestamptz > ${now}, true)
            returning ${key}`,
        );
        if (created) return created;
        const errors = [{ pointer: "/expiresAt", message: "must be in the future" }];
        throw new Problem("invalid_request", "/expiresAt must be in the future", { errors });
      });
    },

    /** @throws Problem principal_not_found, key_not_found */
    async revokeKey(id: string, keyId: string): Promise<void> {
      await transaction(async (_, { db }) => {
        await touch(db, id);
        const revoked = await db.execute(
          "principals.revoke_key",
          sql`delete from cams.api_keys k where k.key_id = ${keyId} and k.principal_id = ${id}`,
        );
        if (revoked === 0) throw new Problem("key_not_found", `${id} has no key ${keyId}.`);
      });
    },
  };

  /** The keys are part of what a principal is: with them its revision changes. */
  async function touch(bound: typeof db, id: string): Promise<void> {
    const touched = await bound.execute(
      "principals.touch",
      sql`
        update cams.principals p
        set updated_at = ${now}, updated_by = ${caller.principal}, revision = p.revision + 1
        where p.principal_id = ${id}`,
    );
    if (touched === 0) throw principalNotFound(id);
  }
}
