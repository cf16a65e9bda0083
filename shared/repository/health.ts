import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { inboxNotFound } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { SUSPECT_AFTER_MISSED } from "../rules/health.ts";
import { Timestamp } from "../schemas/common.ts";
import type { HealthReport } from "../schemas/health.ts";
import { HealthStatus, Status } from "../schemas/inbox.ts";
import { guarded, refusals } from "./authority.ts";
import type { Context } from "./index.ts";
import { dueNow } from "./message-rows.ts";

const Reported = z.object({
  aiAgentAddress: z.string(),
  timestamp: Timestamp,
  status: Status,
  healthStatus: HealthStatus,
  adminStatus: Status,
  hasMessages: z.boolean(),
  expectedBy: Timestamp,
});
const Transition = z.object({
  id: z.int(),
  at: Timestamp,
  fromHealth: HealthStatus,
  toHealth: HealthStatus,
  fromStatus: Status,
  toStatus: Status,
  reason: z.string().optional(),
});
const Cursor = z.tuple([z.int()]);

/** What agents report of themselves, and what became of it. */
export function health(context: Context) {
  const { db, now } = context;
  return {
    ...guarded(context, histories(context)),

    /**
     * Records reports, each for an address of its own that the caller acts for; answers what became of each, or why it
     * was refused (inbox_not_found, forbidden).
     *
     * Deadlines: the exact one (`expected_by`) is not indexed. The sweep's key (`sweep_after`) is the time of suspicion
     * as it was when it was set, and moves only when less than half of that time is left, so that most reports rewrite
     * their row in place (HOT) and no index grows. It is never later than the exact time: nothing is found late.
     */
    async report(reports: readonly z.output<typeof HealthReport>[]) {
      const addresses = reports.map(({ aiAgentAddress }) => aiAgentAddress);
      const refused = await refusals(context, addresses);
      const allowed = reports.filter(({ aiAgentAddress }) => !refused.has(aiAgentAddress));
      const rows = allowed.length > 0 ? await record(allowed) : [];
      const found = new Map(rows.map((row) => [row.aiAgentAddress, row]));
      return new Map(
        addresses.map((address) => [address, found.get(address) ?? refused.get(address) ?? inboxNotFound(address)]),
      );
    },
  };

  async function record(reports: readonly z.output<typeof HealthReport>[]) {
    return db.many(
      "health.report",
      Reported,
      sql`
          with reported as materialized (
            select * from unnest(
              ${reports.map((report) => report.aiAgentAddress)}::text[], ${reports.map((report) => report.status)}::text[],
              ${reports.map((report) => report.details ?? null)}::text[],
              ${reports.map((report) => report.nextReportInSeconds ?? null)}::integer[]
            ) as r (ai_agent_address, status, details, next_seconds)
          ), due as materialized (
            -- Locked in key order: two batches with the same addresses in another order would deadlock otherwise.
            select r.*, make_interval(secs => coalesce(r.next_seconds, i.heartbeat_interval_seconds)) as next_in,
              make_interval(secs => i.heartbeat_interval_seconds * (${SUSPECT_AFTER_MISSED}::integer - 1)) as patience
            from cams.agent_inboxes i join reported r on r.ai_agent_address = i.ai_agent_address
            order by i.ai_agent_address
            for no key update of i
          )
          update cams.agent_inboxes i set
            health_status = due.status,
            status_reason = coalesce(due.details, 'reported ' || lower(due.status)),
            last_health_check_timestamp = ${now},
            expected_by = ${now} + due.next_in,
            sweep_after = case
              when i.sweep_after > ${now} + (due.next_in + due.patience) / 2
                and i.sweep_after <= ${now} + due.next_in + due.patience then i.sweep_after
              else ${now} + due.next_in + due.patience
            end
          from due
          where i.ai_agent_address = due.ai_agent_address
          returning i.ai_agent_address as "aiAgentAddress", i.last_health_check_timestamp as timestamp, i.status,
            i.health_status as "healthStatus", i.admin_status as "adminStatus", i.expected_by as "expectedBy",
            -- Not as "exists": that may be planned as one walk through everybody's messages.
            coalesce((
              select true from cams.messages m
              where ${dueNow(now, sql`i.ai_agent_address`)}
              order by m.rank_at, m.seq
              limit 1
            ), (
              -- Behind the head of an ordering key that has ended, which the pull clears away.
              select true from cams.messages head, lateral (
                select m.available_at from cams.messages m
                where m.recipient_address = head.recipient_address and m.ordering_key = head.ordering_key
                  and m.seq > head.seq and m.ends_at > ${now}
                order by m.seq
                limit 1
              ) next
              where head.recipient_address = i.ai_agent_address and head.ordering_key is not null and not head.blocked
                and head.ends_at <= ${now} and next.available_at <= ${now}
              order by head.ends_at
              limit 1
            ), false) as "hasMessages"`,
    );
  }
}

function histories({ db }: Context) {
  return {
    /**
     * Changes of health or status, newest first.
     * @throws Problem inbox_not_found when the address is not registered and never was
     */
    async history(address: string, page: { pageSize: number; pageToken?: string | undefined }) {
      const before = readCursor(Cursor, page.pageToken);
      const rows = await db.many(
        "health.history",
        Transition,
        sql`
          select t.transition_id as id, t.at, t.from_health_status as "fromHealth", t.to_health_status as "toHealth",
            t.from_status as "fromStatus", t.to_status as "toStatus", t.reason
          from cams.health_transitions t
          where ${and([sql`t.ai_agent_address = ${address}`, before && sql`t.transition_id < ${before[0]}`])}
          order by t.transition_id desc
          limit ${page.pageSize + 1}`,
      );
      if (rows.length === 0 && !before) {
        const registered = sql`select from cams.agent_inboxes i where i.ai_agent_address = ${address}`;
        if ((await db.execute("health.is_registered", registered)) === 0) throw inboxNotFound(address);
      }
      const { items, ...next } = toPage(rows, page.pageSize, (row) => [row.id]);
      return {
        items: items.map((row) => ({
          at: row.at,
          from: { healthStatus: row.fromHealth, status: row.fromStatus },
          to: { healthStatus: row.toHealth, status: row.toStatus },
          ...(row.reason !== undefined && { reason: row.reason }),
        })),
        ...next,
      };
    },
  };
}
