import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { inboxNotFound } from "../errors.ts";
import { type Lease, parseLease } from "../rules/leases.ts";
import { inboxTopic } from "../rules/topics.ts";
import { Timestamp } from "../schemas/common.ts";
import { failing, givenBack } from "./attempts.ts";
import { guarded } from "./authority.ts";
import type { Context } from "./index.ts";
import { claiming } from "./lease-claim.ts";
import { finish, linesLocked, lockLines } from "./message-rows.ts";

const Token = z.object({ leaseToken: z.string() });
const Done = z.object({
  messageId: z.string().optional(),
  token: z.string().optional(),
  inLine: z.boolean().optional(),
});
const Failed = z.object({
  messageId: z.string().optional(),
  token: z.string().optional(),
  dead: z.boolean().optional(),
});
const Prolonged = z.object({
  messageId: z.string().optional(),
  token: z.string().optional(),
  leaseExpiresAt: Timestamp.optional(),
});

/** What a puller does: claim messages, and with the lease tokens acknowledge, return or extend. */
export function leases(context: Context) {
  return guarded(context, leasesOfAnyone(context));
}

function leasesOfAnyone(context: Context) {
  const { db, now, hints } = context;
  const announce = (address: string) => db.afterCommit(() => hints.publish(inboxTopic(address)));

  const tokens = (given: Lease[]): Sql => sql`
    tokens as materialized (
      select * from unnest(${given.map((lease) => lease.messageId)}::uuid[], ${given.map((lease) => lease.token)}::uuid[])
        as t (message_id, lease_token)
    )`;

  /**
   * CTE `held`: the rows whose lease the caller holds, locked in order of arrival, as everywhere; a lapsed lease proves
   * nothing. The comparison of the address is one that no index serves: a plan made for inboxes of average size would
   * walk through a large one to find a message whose id is given.
   */
  const held = (address: string, given: Lease[]): Sql => sql`
    ${tokens(given)}, held as materialized (
      select m.message_id, m.last_attempt, m.recipient_address, m.ordering_key
      from tokens t join cams.messages m on m.message_id = t.message_id
      where m.lease_token = t.lease_token and m.recipient_address is not distinct from ${address}
        and m.available_at > ${now}
      order by m.seq
      for update of m
    )`;

  async function acknowledgedBefore(address: string, given: Lease[]): Promise<string[]> {
    const rows = await db.many(
      "leases.acknowledged_before",
      Token,
      sql`
        with ${tokens(given)}
        select a.message_id || '.' || a.lease_token as "leaseToken"
        from tokens t join cams.message_archive a on a.message_id = t.message_id and a.lease_token = t.lease_token
        where a.recipient_address = ${address} and a.status = 'ACKNOWLEDGED'
          and a.finished_at >= cams.uuid7_time(t.message_id)`,
    );
    return rows.map(({ leaseToken }) => leaseToken);
  }

  return {
    claim: claiming(context),

    /**
     * Ends what the tokens hold as acknowledged. A token that acknowledged before says so again: an answer that was lost
     * may be asked for once more.
     * @throws Problem inbox_not_found
     */
    async acknowledge(address: string, leaseTokens: string[]) {
      const rows = await db.many(
        "leases.acknowledge",
        Done,
        sql`
          with ${held(address, leasesOf(leaseTokens))}, ${lockLines(sql`held`)}, ending as (
            select message_id from held where ${linesLocked}
          ), ${finish(now, { status: sql`'ACKNOWLEDGED'`, outcome: sql`'ACKNOWLEDGED'`, acknowledgedAt: now })}
          select finished.message_id as "messageId", finished.lease_token as token,
            finished.ordering_key is not null as "inLine"
          from cams.agent_inboxes i left join finished on true
          where i.ai_agent_address = ${address}`,
      );
      if (rows.length === 0) throw inboxNotFound(address);
      const done = rows.flatMap(({ messageId, token }) => (messageId && token ? [`${messageId}.${token}`] : []));
      // Whoever waits need not look for nothing: only a message of an ordering key makes room for the next.
      if (rows.some(({ inLine }) => inLine)) announce(address);
      // A statement of its own: the first one's snapshot does not show what it waited for, the same call at once.
      const left = leasesOf(leaseTokens).filter(({ messageId, token }) => !done.includes(`${messageId}.${token}`));
      if (left.length > 0) done.push(...(await acknowledgedBefore(address, left)));
      return { acknowledged: inOrder(leaseTokens, done), refused: refusals(leaseTokens, done) };
    },

    /**
     * Gives back what the tokens hold as failed attempts: handed out again after the back-off, or ended as a dead letter
     * when it was the last one.
     * @throws Problem inbox_not_found
     */
    async fail(address: string, leaseTokens: string[], retryAfterSeconds?: number, reason?: string) {
      const rows = await db.many(
        "leases.fail",
        Failed,
        sql`
          with ${held(address, leasesOf(leaseTokens))}, ${failing(now, {
            detail: sql`${reason}::text`,
            retryAfterSeconds: sql`${retryAfterSeconds}::integer`,
          })}
          select done.message_id as "messageId", tokens.lease_token as token, done.dead
          from cams.agent_inboxes i left join (done join tokens using (message_id)) on true
          where i.ai_agent_address = ${address}`,
      );
      if (rows.length === 0) throw inboxNotFound(address);
      const tokensOf = (dead: boolean) =>
        rows.flatMap((row) => (row.messageId && row.dead === dead ? [`${row.messageId}.${row.token}`] : []));
      const [dead, returned] = [tokensOf(true), tokensOf(false)];
      if (dead.length > 0 || retryAfterSeconds === 0) announce(address);
      return {
        returned: inOrder(leaseTokens, returned),
        deadLettered: inOrder(leaseTokens, dead),
        refused: refusals(leaseTokens, [...dead, ...returned]),
      };
    },

    /**
     * Makes the leases last `leaseSeconds` from now.
     * @throws Problem inbox_not_found
     */
    async extend(address: string, leaseTokens: string[], leaseSeconds: number) {
      const rows = await db.many(
        "leases.extend",
        Prolonged,
        sql`
          with ${held(address, leasesOf(leaseTokens))}, extended as (
            update cams.messages m set available_at = ${now} + make_interval(secs => ${leaseSeconds}::integer)
            from held
            where m.message_id = held.message_id
            returning m.message_id, m.lease_token, m.available_at
          )
          select extended.message_id as "messageId", extended.lease_token as token,
            extended.available_at as "leaseExpiresAt"
          from cams.agent_inboxes i left join extended on true
          where i.ai_agent_address = ${address}`,
      );
      if (rows.length === 0) throw inboxNotFound(address);
      const done = rows.flatMap(({ messageId, token }) => (messageId ? [`${messageId}.${token}`] : []));
      const leaseExpiresAt = rows[0]?.leaseExpiresAt;
      return {
        extended: inOrder(leaseTokens, done),
        ...(leaseExpiresAt && { leaseExpiresAt }),
        refused: refusals(leaseTokens, done),
      };
    },

    /** Gives messages back at once, as if they had not been handed out: the one who asked is gone. */
    async giveBack(address: string, leaseTokens: string[]): Promise<number> {
      const given = await db.execute(
        "leases.give_back",
        sql`
          with ${held(address, leasesOf(leaseTokens))}
          update cams.messages m set ${givenBack(now)} from held where m.message_id = held.message_id`,
      );
      announce(address);
      return given;
    },
  };
}

function leasesOf(leaseTokens: string[]): Lease[] {
  return [...new Set(leaseTokens)].flatMap((leaseToken) => parseLease(leaseToken) ?? []);
}

function inOrder(leaseTokens: string[], done: string[]): string[] {
  const ids = new Set(done);
  return [...new Set(leaseTokens)].filter((token) => ids.has(token)).map((token) => token.slice(0, 36));
}

function refusals(leaseTokens: string[], done: string[]) {
  const ids = new Set(done);
  return [...new Set(leaseTokens)]
    .filter((token) => !ids.has(token))
    .map((leaseToken) => ({ leaseToken, code: "lease_expired" as const }));
}
