import { z } from "zod";
import type { Database } from "../db/database.ts";
import { type Sql, sql } from "../db/sql.ts";
import { inboxNotFound, Problem } from "../errors.ts";
import { type Lease, parseLease } from "../rules/leases.ts";
import { MAX_HEAD_START_SECONDS } from "../rules/priority.ts";
import { Timestamp } from "../schemas/common.ts";
import type { Context } from "./index.ts";
import { finish, PulledMessage, pulledMessage } from "./message-rows.ts";

interface Claim {
  maxMessages: number;
  leaseSeconds: number;
}

/** Most messages that `remaining` counts. */
const COUNTED = 100;

const ClaimState = z.object({
  adminStatus: z.string(),
  quarantined: z.boolean(),
  pulled: z.boolean(),
  stuck: z.boolean(),
  remaining: z.int(),
});
/** One row for each message leased, or a single one with none. */
const ClaimRow = z.object({ ...PulledMessage.partial().shape, ...ClaimState.shape });

interface Claimed {
  messages: z.output<typeof PulledMessage>[];
  remaining: number;
  /** A line of an ordering key waits behind a head that has ended. */
  stuck: boolean;
}

/** What a puller does: claim messages, and with the lease tokens acknowledge, return or extend. */
export function leases({ db, now, transaction }: Context) {
  /** CTE `held`: the rows whose lease the caller holds, locked in key order; a lapsed lease proves nothing. */
  const held = (address: string, given: Lease[]): Sql => sql`
    tokens as materialized (
      select * from unnest(${given.map((lease) => lease.messageId)}::uuid[], ${given.map((lease) => lease.token)}::uuid[])
        as t (message_id, lease_token)
    ), held as materialized (
      select m.message_id, m.last_attempt
      from tokens t join cams.messages m on m.message_id = t.message_id
      where m.lease_token = t.lease_token and m.recipient_address = ${address} and m.available_at > ${now}
      order by m.message_id
      for update of m
    )`;

  /** Due now: free of its ordering key, not waiting, not ended. A rank further ahead than LOW's is not due. */
  const due = (address: string): Sql => sql`
    m.recipient_address = ${address} and not m.blocked
    and m.rank_at <= ${now} + make_interval(secs => ${MAX_HEAD_START_SECONDS}::integer)
    and m.available_at <= ${now} and m.ends_at > ${now}`;

  async function claimOnce(db: Database, address: string, { maxMessages, leaseSeconds }: Claim) {
    return db.many(
      "leases.claim",
      ClaimRow,
      sql`
        with inbox as materialized (
          -- Shared with other pulls, against quarantine and change of destination; only taken when there is work, so
          -- that an idle agent's polling writes nothing.
          select i.max_delivery_attempts from cams.agent_inboxes i
          where i.ai_agent_address = ${address} and i.admin_status = 'ACTIVE' and i.quarantined_at is null
            and i.inbox_destination_type = 'PULL_QUEUE'
            and exists (select from cams.messages m where ${due(address)})
          for share of i
        ), due as materialized (
          select m.message_id, inbox.max_delivery_attempts
          from inbox, cams.messages m
          where ${due(address)}
          order by m.rank_at, m.seq
          limit ${maxMessages}
          for update of m skip locked
        ), m as (
          update cams.messages m set
            lease_token = gen_random_uuid(), leased_at = ${now},
            available_at = ${now} + make_interval(secs => ${leaseSeconds}::integer),
            first_leased_at = coalesce(m.first_leased_at, ${now}),
            attempt = m.attempt + 1, last_attempt = m.attempt + 1 >= due.max_delivery_attempts,
            attempts = case when m.lease_token is null then m.attempts else m.attempts || jsonb_build_object(
              'number', m.attempt, 'at', cams.iso(m.leased_at), 'outcome', 'LEASE_EXPIRED') end
          from due
          where m.message_id = due.message_id
          returning m.*
        )
        select i.admin_status as "adminStatus", i.quarantined_at is not null as quarantined,
          i.inbox_destination_type = 'PULL_QUEUE' as pulled,
          exists (
            select from cams.messages m
            where m.recipient_address = ${address} and m.ordering_key is not null and not m.blocked
              and m.ends_at <= ${now}
          ) as stuck,
          greatest((
            select count(*) from (
              select from cams.messages m where ${due(address)} limit ${COUNTED + maxMessages}::int
            ) counted
          ) - (select count(*) from m), 0) as remaining,
          ${pulledMessage(now)}
        from cams.agent_inboxes i left join m on true
        where i.ai_agent_address = ${address}
        order by m.rank_at, m.seq`,
    );
  }

  return {
    /**
     * Leases up to `maxMessages` in rank order. What it answers, it has leased.
     * @throws Problem inbox_not_found, inbox_inactive, inbox_not_pulled
     */
    async claim(address: string, given: Claim): Promise<Claimed> {
      const claimed = claimedOf(address, await claimOnce(db, address, given));
      const left = given.maxMessages - claimed.messages.length;
      if (!claimed.stuck || left === 0) return claimed;
      // The head of an ordering key has ended and no sweep came by yet: the next of its line is due already.
      return transaction(async (repo, db) => {
        await repo.messages.archiveEnded(1000, address);
        const more = claimedOf(address, await claimOnce(db, address, { ...given, maxMessages: left }));
        return { ...more, messages: [...claimed.messages, ...more.messages] };
      });
    },

    /**
     * Ends what the tokens hold as acknowledged. A token that acknowledged before says so again: an answer that was lost
     * may be asked for once more.
     * @throws Problem inbox_not_found
     */
    async acknowledge(address: string, leaseTokens: string[]) {
      const rows = await db.many(
        "leases.acknowledge",
        z.object({ messageId: z.string().optional(), token: z.string().optional() }),
        sql`
          with ${held(address, leasesOf(leaseTokens))}, ending as (
            select message_id from held
          ), ${finish(now, { status: sql`'ACKNOWLEDGED'`, outcome: sql`'ACKNOWLEDGED'`, acknowledgedAt: now })}
          , done as (
            select finished.message_id, finished.lease_token from finished
            union all
            select a.message_id, a.lease_token
            from tokens t join cams.message_archive a on a.message_id = t.message_id and a.lease_token = t.lease_token
            where a.recipient_address = ${address} and a.status = 'ACKNOWLEDGED'
              and a.finished_at >= cams.uuid7_time(t.message_id)
          )
          select done.message_id as "messageId", done.lease_token as token
          from cams.agent_inboxes i left join done on true
          where i.ai_agent_address = ${address}`,
      );
      if (rows.length === 0) throw inboxNotFound(address);
      const done = rows.flatMap(({ messageId, token }) => (messageId && token ? [`${messageId}.${token}`] : []));
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
        z.object({ messageId: z.string().optional(), token: z.string().optional(), dead: z.boolean().optional() }),
        sql`
          with ${held(address, leasesOf(leaseTokens))}, ending as (
            select message_id from held where last_attempt
          ), ${finish(now, {
            status: sql`'DEAD_LETTERED'`,
            outcome: sql`'FAILED'`,
            detail: sql`${reason}::text`,
            deadLetterReason: sql`'attempts_exhausted'`,
          })}
          , returned as (
            update cams.messages m set
              lease_token = null, leased_at = null,
              -- One second after the first failure, doubling to five minutes, 20 % either way: those that failed
              -- together do not come back together.
              available_at = ${now} + make_interval(secs => coalesce(
                ${retryAfterSeconds}::integer, least(300, 2 ^ least(m.attempt - 1, 10)) * (0.8 + 0.4 * random()))),
              attempts = m.attempts || jsonb_strip_nulls(jsonb_build_object(
                'number', m.attempt, 'at', cams.iso(m.leased_at), 'outcome', 'FAILED', 'detail', ${reason}::text))
            from held
            where m.message_id = held.message_id and not held.last_attempt
            returning m.message_id
          ), done as (
            select message_id, true as dead from finished union all select message_id, false from returned
          )
          select done.message_id as "messageId", tokens.lease_token as token, done.dead
          from cams.agent_inboxes i left join (done join tokens using (message_id)) on true
          where i.ai_agent_address = ${address}`,
      );
      if (rows.length === 0) throw inboxNotFound(address);
      const tokensOf = (dead: boolean) =>
        rows.flatMap((row) => (row.messageId && row.dead === dead ? [`${row.messageId}.${row.token}`] : []));
      const [dead, returned] = [tokensOf(true), tokensOf(false)];
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
        z.object({
          messageId: z.string().optional(),
          token: z.string().optional(),
          leaseExpiresAt: Timestamp.optional(),
        }),
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
      return db.execute(
        "leases.give_back",
        sql`
          with ${held(address, leasesOf(leaseTokens))}
          update cams.messages m set ${givenBack(now)} from held where m.message_id = held.message_id`,
      );
    },
  };
}

/** @throws Problem inbox_not_found, inbox_not_pulled, inbox_inactive */
function claimedOf(address: string, rows: z.output<typeof ClaimRow>[]): Claimed {
  const [state] = rows;
  if (!state) throw inboxNotFound(address);
  if (!state.pulled) throw new Problem("inbox_not_pulled", `${address} is not a PULL_QUEUE.`);
  if (state.adminStatus !== "ACTIVE" || state.quarantined)
    throw new Problem("inbox_inactive", `The inbox ${address} is not active.`);
  return {
    messages: rows.flatMap(({ adminStatus: _a, quarantined: _q, pulled: _p, stuck: _s, remaining: _r, ...message }) =>
      message.messageId === undefined ? [] : [message as z.output<typeof PulledMessage>],
    ),
    remaining: Math.min(state.remaining, COUNTED),
    stuck: state.stuck,
  };
}

/** What makes a lease undone: it does not count as an attempt. */
export const givenBack = (now: Sql): Sql => sql`
  lease_token = null, leased_at = null, last_attempt = false, attempt = m.attempt - 1, available_at = ${now}`;

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
