import * as z from "zod";
import { sql } from "../db/sql.ts";
import type { Context } from "./index.ts";

const Sealed = z.object({
  address: z.string(),
  secret: z.instanceof(Buffer),
  previousSecret: z.instanceof(Buffer).optional(),
});
/** The sealed secrets of one webhook. */
export type SealedSecrets = z.output<typeof Sealed>;

/** The secrets of webhooks as they are stored, all of them one after the other. */
export function secrets({ db, now }: Context) {
  return {
    /** By address, those behind `after`. */
    async list(after: string, limit: number): Promise<SealedSecrets[]> {
      return db.many(
        "secrets.list",
        Sealed,
        sql`
          select s.ai_agent_address as address, s.secret, s.previous_secret as "previousSecret"
          from cams.webhook_secrets s
          where s.ai_agent_address > ${after}
          order by s.ai_agent_address
          limit ${limit}`,
      );
    },

    /** Puts secrets sealed anew in the place of those that were read; answers whether they still were the same. */
    async replace(was: SealedSecrets, by: Omit<SealedSecrets, "address">): Promise<boolean> {
      const replaced = await db.execute(
        "secrets.replace",
        sql`
          update cams.webhook_secrets s set secret = ${by.secret}, previous_secret = ${by.previousSecret}
          where s.ai_agent_address = ${was.address} and s.secret = ${was.secret}
            and s.previous_secret is not distinct from ${was.previousSecret}::bytea`,
      );
      return replaced === 1;
    },

    /** Deletes what was rotated out and signs no more; answers how many. */
    async deletePrevious(): Promise<number> {
      return db.execute(
        "secrets.delete_previous",
        sql`
          update cams.webhook_secrets s set previous_secret = null, previous_until = null
          where s.previous_until <= ${now}`,
      );
    },
  };
}
