import * as z from "zod";
import { sql } from "../db/sql.ts";
import { givenBack } from "./attempts.ts";
import type { Context } from "./index.ts";
import { attemptsWith } from "./message-rows.ts";
import { announceQueues, lettingGo } from "./task-rows.ts";

const Queue = z.object({ pool: z.string().optional(), agentId: z.string().optional() });

// Arrays of a subselect: of a hundred addresses themselves a table without statistics is read through.

/**
 * Takes back every message of these inboxes that is in somebody's hand: no attempt is counted, and no token that was
 * given proves anything more. Answers how many. Whoever must leave none behind has locked the inboxes before.
 */
export async function returnMessages({ db, now }: Context, addresses: readonly string[], why: string): Promise<number> {
  return db.execute(
    "returns.messages",
    sql`
      with held as materialized (
        select m.message_id from cams.messages m
        where m.recipient_address = any (array(select unnest(${addresses}::text[])))
          and m.lease_token is not null and m.available_at > ${now}
        order by m.seq
        for update
      )
      update cams.messages m set
        attempts = ${attemptsWith(now, { outcome: sql`'INTERRUPTED'`, detail: sql`${why}::text` })}, ${givenBack(now)}
      where m.message_id = any (array(select message_id from held))`,
  );
}

/**
 * Takes back every task that is in the hand of these agents: no attempt is counted, and what came from a pool may be
 * claimed by others at once. Answers how many. Whoever must leave none behind has locked the agents before.
 */
export async function returnTasks({ db, now, hints }: Context, agentIds: readonly string[], why: string) {
  const returned = await db.many(
    "returns.tasks",
    Queue,
    sql`
      with held as materialized (
        select t.task_id from cams.tasks t
        where t.agent_id = any (array(select unnest(${agentIds}::text[])))
          and t.lease_token is not null and t.lease_until > ${now}
        order by t.seq
        for no key update
      )
      update cams.tasks t set
        ${lettingGo(now, { outcome: sql`'INTERRUPTED'`, detail: sql`${why}::text` })},
        attempt = t.attempt - 1, available_at = ${now}
      where t.task_id = any (array(select task_id from held))
      returning t.pool, t.agent_id as "agentId"`,
  );
  db.afterCommit(() => announceQueues(hints, returned));
  return returned.length;
}
