import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { inboxNotFound, Problem } from "../errors.ts";
import { PulledMessage } from "../schemas/message.ts";
import { leasing } from "./attempts.ts";
import { isOwnInbox } from "./authority.ts";
import type { Context } from "./index.ts";
import { dueNow, pulledMessage } from "./message-rows.ts";
import { messages } from "./messages.ts";

interface Claim {
  maxMessages: number;
  leaseSeconds: number;
}

/** Ended messages moved out of the way at a time, and how often before a claim answers with what it finds. */
const SLICE = 1000;
const MOST_SLICES = 10;
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

/**
 * Leases up to `maxMessages` in rank order. What it answers, it has leased.
 * @throws Problem inbox_not_found, inbox_inactive, inbox_not_pulled
 */
export function claiming(context: Context) {
  const { db, now, caller } = context;

  const due = (address: string): Sql => dueNow(now, sql`${address}`);

  return async function claim(address: string, given: Claim): Promise<Claimed> {
    const claimed = claimedOf(address, await claimOnce(address, given, false));
    if (!claimed.stuck) return claimed;
    // The head of an ordering key has ended and no sweep came by yet: the next of its line is due already, and may
    // rank before all others.
    for (let slice = 0, more = true; more && slice < MOST_SLICES; slice++)
      more = (await messages(context).archiveEnded(SLICE, address)).more;
    return claimedOf(address, await claimOnce(address, given, true));
  };

  async function claimOnce(address: string, { maxMessages, leaseSeconds }: Claim, evenIfStuck: boolean) {
    return db.many(
      "leases.claim",
      ClaimRow,
      sql`
        with line as materialized (
          select coalesce((
            select true from cams.messages m
            where m.recipient_address = ${address} and m.ordering_key is not null and not m.blocked
              and m.ends_at <= ${now}
            order by m.ends_at
            limit 1
          ), false) as stuck
        ), inbox as materialized (
          -- Shared with other pulls, against quarantine and change of destination; only taken when there is work, so
          -- that an idle agent's polling writes nothing.
          select i.max_delivery_attempts from cams.agent_inboxes i, line
          where ${and([sql`i.ai_agent_address = ${address}`, isOwnInbox(caller, address)])}
            and i.admin_status = 'ACTIVE' and i.quarantined_at is null
            and i.inbox_destination_type = 'PULL_QUEUE'
            and (${evenIfStuck}::boolean or not line.stuck)
            -- Not as "exists": where much is due, that is planned as a walk through everybody's messages.
            and (select true from cams.messages m where ${due(address)} order by m.rank_at, m.seq limit 1)
          for share of i
        ), due as materialized (
          select m.message_id, inbox.max_delivery_attempts
          from inbox, cams.messages m
          where ${due(address)}
          order by m.rank_at, m.seq
          limit ${maxMessages}
          for update of m skip locked
        ), m as (
          update cams.messages m set ${leasing(now, sql`${leaseSeconds}::integer`, sql`due.max_delivery_attempts`)}
          from due
          where m.message_id = due.message_id
          returning m.*
        )
        select i.admin_status as "adminStatus", i.quarantined_at is not null as quarantined,
          i.inbox_destination_type = 'PULL_QUEUE' as pulled, line.stuck,
          greatest((
            select count(*) from (
              select from cams.messages m where ${due(address)}
              order by m.rank_at, m.seq
              limit ${COUNTED + maxMessages}::int
            ) counted
          ) - (select count(*) from m), 0) as remaining,
          ${pulledMessage(now)}
        from line, cams.agent_inboxes i left join m on true
        where i.ai_agent_address = ${address}
        order by m.rank_at, m.seq`,
    );
  }
}

/** @throws Problem inbox_not_found, inbox_not_pulled, inbox_inactive */
function claimedOf(address: string, rows: z.output<typeof ClaimRow>[]): Claimed {
  const [state] = rows;
  if (!state) throw inboxNotFound(address);
  if (!state.pulled) throw new Problem("inbox_not_pulled", `${address} is not a PULL_QUEUE.`);
  if (state.adminStatus !== "ACTIVE" || state.quarantined)
    throw new Problem("inbox_inactive", `The inbox ${address} is ${state.quarantined ? "quarantined" : "not active"}.`);
  return {
    messages: rows.flatMap(({ adminStatus: _a, quarantined: _q, pulled: _p, stuck: _s, remaining: _r, ...message }) =>
      message.messageId === undefined ? [] : [message as z.output<typeof PulledMessage>],
    ),
    remaining: Math.min(state.remaining, COUNTED),
    stuck: state.stuck,
  };
}
