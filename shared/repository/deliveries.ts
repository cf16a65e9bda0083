import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { FAILURES_BEFORE_PAUSE } from "../rules/backoff.ts";
import { DestinationType } from "../schemas/inbox.ts";
import { Message } from "../schemas/message.ts";
import { leasing } from "./attempts.ts";
import { deliveryResults } from "./delivery-results.ts";
import type { Context } from "./index.ts";
import { dueNow, liveMessage } from "./message-rows.ts";
import { messages } from "./messages.ts";

/** Longer than any attempt may take, its record included: who dies in one holds its messages up for no longer. */
const LEASE_SECONDS = 45;
/** Most bytes of payload and metadata leased for one inbox at a time: in base64 most of the 10 MB of a publish. */
const MOST_BYTES = 6 * 1024 * 1024;

/** Ended messages moved out of the way at a time. */
const SLICE = 1000;

const Due = z.object({
  address: z.string(),
  due: z.boolean(),
  /** A line of an ordering key waits behind a head that has ended. */
  stuck: z.boolean(),
  type: DestinationType,
  destination: z.string(),
  /** After a pause, how far it is trusted is for one message to find out. */
  failing: z.boolean(),
});
/** An inbox with messages that may be delivered now, or could if their line moved on. */
export type Due = z.output<typeof Due>;

const Leased = z.object({
  ...Message.shape,
  token: z.string(),
  type: DestinationType,
  destination: z.string(),
  /** Finds out whether an inbox that failed again and again is there once more. */
  probe: z.boolean(),
  secret: z.instanceof(Buffer).optional(),
  previousSecret: z.instanceof(Buffer).optional(),
});
/** A message leased to be delivered, and where to; the secrets that sign it are as they are stored. */
export type Leased = z.output<typeof Leased>;

/** An inbox `i` that may be delivered to; the words of the index agent_inboxes_pushed. */
const pushed = sql`i.inbox_destination_type <> 'PULL_QUEUE' and i.status = 'ACTIVE'`;
const unpaused = (now: Sql): Sql => sql`coalesce(i.delivery_paused_until <= ${now}, true)`;
const isFailing = sql`i.failures_in_row >= ${FAILURES_BEFORE_PAUSE}::integer`;

/** What the dispatcher does: find what is due, lease it just before it is sent, record what came of it. */
export function deliveries(context: Context) {
  const { db, now } = context;
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
            ${isFailing} as failing, found.due, found.stuck
          from leap
          cross join lateral (
            select i.* from cams.agent_inboxes i where i.ai_agent_address = leap.inbox and ${unpaused(now)}
          ) i
          cross join lateral (
            select coalesce((
              select true from cams.messages m where ${dueNow(now, sql`leap.inbox`)}
              order by m.rank_at, m.seq limit 1
            ), false) as due, coalesce((
              select true from cams.messages m
              where m.recipient_address = leap.inbox and m.ordering_key is not null and not m.blocked
                and m.ends_at <= ${now}
              order by m.ends_at limit 1
            ), false) as stuck
          ) found
          where found.due or found.stuck
          limit ${limit}`,
      );
    },

    /** Ends what has ended at the heads of an inbox's lines, so that they move on; answers how much that was. */
    async unblock(address: string): Promise<number> {
      const { expired, deadLettered } = await messages(context).archiveEnded(SLICE, address);
      return expired + deadLettered;
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
            -- Against quarantine and change of destination, and for one dispatcher at a time.
            select i.ai_agent_address, i.inbox_destination_type, i.inbox_name, i.max_delivery_attempts,
              ${isFailing} as probe, case when ${isFailing} then 1 else w.take end as take
            from unnest(
              ${wanted.map(({ address }) => address)}::text[], ${wanted.map(({ take }) => take)}::integer[]
            ) as w (address, take)
            join cams.agent_inboxes i on i.ai_agent_address = w.address
            where ${pushed} and ${unpaused(now)}
            for no key update of i skip locked
          ), due as materialized (
            select inbox.ai_agent_address, d.*
            from inbox
            cross join lateral (
              select m.message_id, m.rank_at, m.seq, 
                octet_length(m.payload::text) + coalesce(octet_length(m.metadata::text), 0) as bytes
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
            update cams.messages m
            set ${leasing(now, sql`${LEASE_SECONDS}::integer`, sql`inbox.max_delivery_attempts`)}
            from sized join inbox using (ai_agent_address)
            where m.message_id = sized.message_id and sized.bytes_before < ${MOST_BYTES}::integer
            returning m.*
          ), probed as (
            -- Nobody tries another one until it is known what became of this one.
            update cams.agent_inboxes i
            set delivery_paused_until = ${now} + make_interval(secs => ${LEASE_SECONDS}::integer)
            from inbox
            where i.ai_agent_address = inbox.ai_agent_address and inbox.probe
              and inbox.ai_agent_address in (select recipient_address from m)
          )
          select ${liveMessage(now)}, m.lease_token as token, i.inbox_destination_type as type,
            i.inbox_name as destination, i.probe, s.secret,
            case when s.previous_until > ${now} then s.previous_secret end as "previousSecret"
          from m
          join inbox i on i.ai_agent_address = m.recipient_address
          left join cams.webhook_secrets s on s.ai_agent_address = m.recipient_address
          order by m.rank_at, m.seq`,
      );
    },

    ...deliveryResults(context),
  };
}
