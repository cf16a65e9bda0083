import { z } from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { FAILURES_BEFORE_PAUSE } from "../rules/backoff.ts";
import { DestinationType } from "../schemas/inbox.ts";
import { Message } from "../schemas/message.ts";
import { failing, retryAt } from "./attempts.ts";
import type { Context } from "./index.ts";
import { givenBack } from "./leases.ts";
import { attemptsWith, dueNow, finish, liveMessage } from "./message-rows.ts";

/** Longer than any attempt may take, its record included: who dies in one holds its messages up for no longer. */
const LEASE_SECONDS = 45;
/** Most bytes of payload leased for one inbox at a time: 10 MB is what a publish to Pub/Sub may hold, in base64. */
const MOST_BYTES = 6 * 1024 * 1024;

const Due = z.object({
  address: z.string(),
  type: DestinationType,
  destination: z.string(),
  /** After a pause, how far it is trusted is for one message to find out. */
  failing: z.boolean(),
});
/** An inbox with messages that may be delivered now. */
export type Due = z.output<typeof Due>;

const Leased = z.object({
  ...Message.shape,
  token: z.string(),
  type: DestinationType,
  destination: z.string(),
  secret: z.instanceof(Buffer).optional(),
  previousSecret: z.instanceof(Buffer).optional(),
});
/** A message leased to be delivered, and where to; the secrets that sign it are as they are stored. */
export type Leased = z.output<typeof Leased>;

/** What came of the attempt that a lease stands for. */
export interface Attempted {
  messageId: string;
  token: string;
  recipientAddress: string;
  destination: string;
  detail?: string | undefined;
  statusCode?: number | undefined;
  milliseconds: number;
  retryAfterSeconds?: number | undefined;
  gone?: boolean | undefined;
}

const Recorded = z.object({ messageId: z.string(), dead: z.boolean() });

/** An inbox `i` that may be delivered to; the words of the index agent_inboxes_pushed. */
const pushed = sql`i.inbox_destination_type <> 'PULL_QUEUE' and i.status = 'ACTIVE'`;
const unpaused = (now: Sql): Sql => sql`coalesce(i.delivery_paused_until <= ${now}, true)`;
const isFailing = sql`i.failures_in_row >= ${FAILURES_BEFORE_PAUSE}::integer`;

/** What the dispatcher does: find what is due, lease it just before it is sent, record what came of it. */
export function deliveries({ db, now }: Context) {
  /** CTE `results`: no column of it has the name of one of a message, but the id. */
  const results = (given: readonly Attempted[]): Sql => sql`
    results as materialized (
      select * from unnest(
        ${given.map((one) => one.messageId)}::uuid[], ${given.map((one) => one.token)}::uuid[],
        ${given.map((one) => one.detail ?? null)}::text[], ${given.map((one) => one.statusCode ?? null)}::integer[],
        ${given.map((one) => Math.round(one.milliseconds))}::integer[],
        ${given.map((one) => one.retryAfterSeconds ?? null)}::integer[]
      ) as r (message_id, proof, detail, status_code, took, retry_after)
    )`;
  const receipt = { detail: sql`r.detail`, statusCode: sql`r.status_code`, milliseconds: sql`r.took` };
  const join = sql`join results r using (message_id)`;

  /** CTE `tried`: the destinations that were tried, if they still are the inbox's. */
  const tried = (given: readonly Attempted[]): Sql => sql`
    tried as materialized (
      select address, destination, max(retry_after) as retry_after, bool_or(gone) as gone
      from unnest(
        ${given.map((one) => one.recipientAddress)}::text[], ${given.map((one) => one.destination)}::text[],
        ${given.map((one) => one.retryAfterSeconds ?? null)}::integer[],
        ${given.map((one) => one.gone ?? false)}::boolean[]
      ) as t (address, destination, retry_after, gone)
      group by address, destination
    )`;

  /**
   * CTE `held`: the rows whose lease this still is, after the rows of `inboxes` are locked. A result that comes after
   * the lease's end counts as long as nobody else has the message and it has not ended.
   */
  const held = (inboxes: Sql): Sql => sql`
    held as materialized (
      select m.message_id, m.last_attempt
      from results r join cams.messages m on m.message_id = r.message_id
      where m.lease_token = r.proof and m.ends_at > ${now} and (select count(*) from ${inboxes}) >= 0
      order by m.seq
      for update of m
    )`;

  return {
    /** Inboxes with something due, by address after `after`; none that is paused. */
    async due(after: string, limit: number): Promise<Due[]> {
      return db.many(
        "deliveries.due",
        Due,
        sql`
          with recursive leap as (
            (select i.ai_agent_address as inbox from cams.agent_inboxes i
             where ${pushed} and i.ai_agent_address > ${after}
             order by i.ai_agent_address
             limit 1)
            union all
            select next.inbox
            from leap
            cross join lateral (
              select m.recipient_address as recipient from cams.messages m
              where m.recipient_address >= leap.inbox
              order by m.recipient_address
              limit 1
            ) message
            cross join lateral (
              select i.ai_agent_address as inbox from cams.agent_inboxes i
              where ${pushed} and i.ai_agent_address > leap.inbox and i.ai_agent_address >= message.recipient
              order by i.ai_agent_address
              limit 1
            ) next
          )
          select i.ai_agent_address as address, i.inbox_destination_type as type, i.inbox_name as destination,
            ${isFailing} as failing
          from leap
          cross join lateral (
            select i.* from cams.agent_inboxes i where i.ai_agent_address = leap.inbox and ${unpaused(now)}
          ) i
          where (
            select true from cams.messages m where ${dueNow(now, sql`leap.inbox`)}
            order by m.rank_at, m.seq limit 1
          )
          limit ${limit}`,
      );
    },

    /**
     * Leases up to `take` due messages of each inbox, in rank order, and answers where each is to go now. An inbox that
     * is just being changed is passed over: the next call finds it.
     */
    async claim(wanted: readonly { address: string; take: number }[]): Promise<Leased[]> {
      return db.many(
        "deliveries.claim",
        Leased,
        sql`
          with inbox as materialized (
            -- Shared with other dispatchers, against quarantine and change of destination.
            select i.ai_agent_address, i.inbox_destination_type, i.inbox_name, i.max_delivery_attempts, w.take
            from unnest(
              ${wanted.map(({ address }) => address)}::text[], ${wanted.map(({ take }) => take)}::integer[]
            ) as w (address, take)
            join cams.agent_inboxes i on i.ai_agent_address = w.address
            where ${pushed} and ${unpaused(now)}
            for share of i skip locked
          ), due as materialized (
            select inbox.ai_agent_address, d.*
            from inbox
            cross join lateral (
              select m.message_id, m.rank_at, m.seq, octet_length(m.payload::text) as bytes
              from cams.messages m
              where ${dueNow(now, sql`inbox.ai_agent_address`)}
              order by m.rank_at, m.seq
              limit inbox.take
              for update of m skip locked
            ) d
          ), sized as materialized (
            select message_id, ai_agent_address,
              sum(bytes) over (partition by ai_agent_address order by rank_at, seq) - bytes as bytes_before
            from due
          ), m as (
            update cams.messages m set
              lease_token = gen_random_uuid(), leased_at = ${now},
              available_at = ${now} + make_interval(secs => ${LEASE_SECONDS}::integer),
              first_leased_at = coalesce(m.first_leased_at, ${now}),
              attempt = m.attempt + 1, last_attempt = m.attempt + 1 >= inbox.max_delivery_attempts,
              attempts = ${attemptsWith(now, { outcome: sql`'LEASE_EXPIRED'` })}
            from sized join inbox using (ai_agent_address)
            where m.message_id = sized.message_id and sized.bytes_before < ${MOST_BYTES}::integer
            returning m.*
          )
          select ${liveMessage(now)}, m.lease_token as token, i.inbox_destination_type as type,
            i.inbox_name as destination, s.secret,
            case when s.previous_until > ${now} then s.previous_secret end as "previousSecret"
          from m
          join inbox i on i.ai_agent_address = m.recipient_address
          left join cams.webhook_secrets s on s.ai_agent_address = m.recipient_address
          order by m.rank_at, m.seq`,
      );
    },

    /** Ends what was delivered; answers the ids of those whose lease it still was. */
    async delivered(given: readonly Attempted[]) {
      return db.many(
        "deliveries.delivered",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given)}, recovering as materialized (
            select i.ai_agent_address from tried t
            join cams.agent_inboxes i on i.ai_agent_address = t.address and i.inbox_name = t.destination
            where i.failures_in_row > 0
            order by i.ai_agent_address
            for no key update of i
          ), recovered as (
            update cams.agent_inboxes i set failures_in_row = 0, delivery_paused_until = null
            from recovering r
            where i.ai_agent_address = r.ai_agent_address
          ), ${held(sql`recovering`)}, ending as (
            select message_id from held
          ), ${finish(now, {
            ...receipt,
            join,
            status: sql`'DELIVERED'`,
            outcome: sql`'DELIVERED'`,
            deliveredAt: now,
          })}
          select message_id as "messageId", false as dead from archived`,
      );
    },

    /**
     * Gives back what failed, or ends it as a dead letter when it was the last attempt; an inbox that fails again and
     * again is paused, one whose destination is gone is deactivated.
     */
    async failed(given: readonly Attempted[]) {
      const alone = sql`coalesce(i.delivery_paused_until > ${now}, false)`;
      const deactivated = sql`(b.gone and i.admin_status = 'ACTIVE')`;
      return db.many(
        "deliveries.failed",
        Recorded,
        sql`
          with ${results(given)}, ${tried(given)}, blamed as materialized (
            select i.ai_agent_address, t.retry_after, t.gone from tried t
            join cams.agent_inboxes i on i.ai_agent_address = t.address and i.inbox_name = t.destination
            order by i.ai_agent_address
            for no key update of i
          ), paused as (
            update cams.agent_inboxes i set
              -- Of those that were on their way together only one counts once it is paused: 16 at once are no outage.
              failures_in_row = i.failures_in_row + case when ${alone} then 0 else 1 end,
              delivery_paused_until = greatest(
                i.delivery_paused_until,
                ${now} + make_interval(secs => b.retry_after),
                case when not ${alone} and i.failures_in_row + 1 >= ${FAILURES_BEFORE_PAUSE}::integer
                  then ${retryAt(now, sql`(i.failures_in_row + 2 - ${FAILURES_BEFORE_PAUSE}::integer)`)} end),
              admin_status = case when ${deactivated} then 'INACTIVE' else i.admin_status end,
              status_reason = case when ${deactivated} then 'its destination answered 410 Gone' else i.status_reason end,
              last_updated_timestamp = case when ${deactivated} then ${now} else i.last_updated_timestamp end,
              updated_by = case when ${deactivated} then 'cams' else i.updated_by end,
              revision = i.revision + case when ${deactivated} then 1 else 0 end
            from blamed b
            where i.ai_agent_address = b.ai_agent_address
          ), ${held(sql`blamed`)}, ${failing(now, { ...receipt, join, retryAfterSeconds: sql`r.retry_after` })}
          select message_id as "messageId", dead from done`,
      );
    },

    /** Gives back what could not be finished, as if it had not been begun: it does not count as an attempt. */
    async interrupted(given: readonly Attempted[]) {
      return db.many(
        "deliveries.interrupted",
        Recorded,
        sql`
          with ${results(given)}, ${held(sql`results`)}
          update cams.messages m set
            attempts = ${attemptsWith(now, { ...receipt, outcome: sql`'INTERRUPTED'` })}, ${givenBack(now)}
          from held join results r using (message_id)
          where m.message_id = held.message_id
          returning m.message_id as "messageId", false as dead`,
      );
    },
  };
}
