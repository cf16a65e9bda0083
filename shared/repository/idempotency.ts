import * as z from "zod";
import { sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import type { Context } from "./index.ts";

/** An answer as it is kept for the next call with the same key. */
export const KeptAnswer = z.object({ status: z.int(), headers: z.record(z.string(), z.string()), body: z.unknown() });
export type KeptAnswer = z.output<typeof KeptAnswer>;

/** Whose key it is: keys of different callers or functions never meet. */
export interface IdempotencyScope {
  principal: string;
  functionName: string;
  key: string;
}

const KEPT = sql`interval '24 hours'`;

const Kept = z.object({ requestHash: z.instanceof(Buffer), answer: KeptAnswer.optional() });

/** First answers by idempotency key; use within the transaction that does the work. */
export function idempotency({ db, now }: Context) {
  return {
    /**
     * Takes the key for this transaction, or answers what was answered first. A call that runs at the same time with the
     * same key waits here until the first one ends.
     * @throws Problem idempotency_key_reused when the key stands for another request
     */
    async take({ principal, functionName, key }: IdempotencyScope, requestHash: Buffer) {
      const kept = await db.one(
        "idempotency.take",
        Kept,
        sql`
          insert into cams.idempotency_keys as k (principal, function, key, request_hash, kept_until)
          values (${principal}, ${functionName}, ${key}, ${requestHash}, ${now} + ${KEPT})
          on conflict (principal, function, key) do update set
            request_hash = case when k.kept_until <= ${now} then excluded.request_hash else k.request_hash end,
            answer = case when k.kept_until <= ${now} then null else k.answer end,
            kept_until = case when k.kept_until <= ${now} then excluded.kept_until else k.kept_until end
          returning request_hash as "requestHash", answer`,
      );
      if (!kept.requestHash.equals(requestHash))
        throw new Problem("idempotency_key_reused", "The idempotency key stands for another request.");
      return kept.answer;
    },

    /** Keeps the answer with what the transaction did. */
    async keep({ principal, functionName, key }: IdempotencyScope, answer: KeptAnswer): Promise<void> {
      await db.execute(
        "idempotency.keep",
        sql`
          update cams.idempotency_keys set answer = ${JSON.stringify(answer)}::json
          where principal = ${principal} and function = ${functionName} and key = ${key}`,
      );
    },
  };
}
