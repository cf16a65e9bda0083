import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { forbidden, inboxNotFound } from "../errors.ts";
import { isUnbound, speaksFor } from "../rules/access.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { Timestamp } from "../schemas/common.ts";
import { Inbox, type InboxFilter, type InboxRegistration, InboxWithBacklog } from "../schemas/inbox.ts";
import { calledAs, guarded, seesInside } from "./authority.ts";
import { inboxChanges } from "./inbox-changes.ts";
import { inboxAt } from "./inbox-rows.ts";
import type { Context } from "./index.ts";

const Cursor = z.tuple([Timestamp, z.string()]);

/** Most pending messages that are counted: the count stays cheap over any backlog. */
const COUNTED = 1000;

/** The mapping of addresses to destinations. */
export function inboxes(context: Context) {
  const { db, now, caller, transaction } = context;
  const inbox = inboxAt(now);

  /** What only those know who act for the inbox is left out for everybody else. */
  function shown<Shown extends z.output<typeof Inbox> & { pendingMessages?: number | undefined }>(row: Shown): Shown {
    if (seesInside(caller, row)) return row;
    const { inboxName: _, statusReason: __, pendingMessages: ___, ...rest } = row;
    return rest as Shown;
  }

  return {
    ...guarded(context, inboxChanges(context)),

    /**
     * Without a team of its own the inbox belongs to the caller's.
     * @throws Problem inbox_exists; forbidden when the address is not the caller's, or the team another one
     */
    async register(given: z.output<typeof InboxRegistration>, sealedSecret?: Buffer) {
      if (!speaksFor(caller, given.aiAgentAddress))
        throw forbidden(`${calledAs(caller)} does not speak for ${given.aiAgentAddress}.`);
      const ownerTeam = given.ownerTeam ?? caller.team;
      if (ownerTeam !== caller.team && !isUnbound(caller))
        throw forbidden("Only an administrator gives an inbox to another team.");
      return transaction(async (_, { db }) =>
        db.one(
          "inboxes.register",
          Inbox,
          sql`
            with i as (
              insert into cams.agent_inboxes (
                ai_agent_address, inbox_destination_type, inbox_name, description, owner_team, heartbeat_interval_seconds,
                max_delivery_attempts, registration_timestamp, last_updated_timestamp, updated_by)
              values (
                ${given.aiAgentAddress}, ${given.inboxDestinationType}, ${given.inboxName ?? given.aiAgentAddress},
                ${given.description}, ${ownerTeam},
                ${given.heartbeatIntervalSeconds}, ${given.maxDeliveryAttempts}, ${now}, ${now}, ${caller.principal})
              returning *
            ), secret as (
              insert into cams.webhook_secrets (ai_agent_address, secret)
              select ai_agent_address, ${sealedSecret}::bytea from i where ${sealedSecret}::bytea is not null
            )
            select ${inbox} from i`,
        ),
      );
    },

    /** @throws Problem inbox_not_found */
    async get(address: string) {
      const found = await this.find(address);
      if (!found) throw inboxNotFound(address);
      return found;
    },

    /** An inbox, or undefined when none is registered at the address. */
    async find(address: string) {
      const found = await db.maybe(
        "inboxes.get",
        InboxWithBacklog,
        sql`
          select ${inbox}, (
            select count(*) from (
              select from cams.messages m
              where m.recipient_address = i.ai_agent_address and m.ends_at > ${now}
              limit ${COUNTED}::int
            ) counted
          ) as "pendingMessages"
          from cams.agent_inboxes i
          where i.ai_agent_address = ${address}`,
      );
      return found && shown(found);
    },

    /** Newest first. */
    async list(filter: z.output<typeof InboxFilter>) {
      const after = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "inboxes.list",
        Inbox,
        sql`
          select ${inbox}
          from cams.agent_inboxes i
          where ${and([
            filter.status && sql`i.status = ${filter.status}`,
            filter.adminStatus && sql`i.admin_status = ${filter.adminStatus}`,
            filter.healthStatus && sql`i.health_status = ${filter.healthStatus}`,
            filter.inboxDestinationType && sql`i.inbox_destination_type = ${filter.inboxDestinationType}`,
            filter.ownerTeam !== undefined && sql`i.owner_team = ${filter.ownerTeam}`,
            after && sql`(i.registration_timestamp, i.ai_agent_address) < (${after[0]}::timestamptz, ${after[1]})`,
          ])}
          order by i.registration_timestamp desc, i.ai_agent_address desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows.map(shown), filter.pageSize, (row) => [row.registrationTimestamp, row.aiAgentAddress]);
    },
  };
}
