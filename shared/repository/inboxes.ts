import { z } from "zod";
import { and, list, type Sql, sql } from "../db/sql.ts";
import { inboxNotFound, Problem } from "../errors.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { topicsOf } from "../rules/topics.ts";
import { Timestamp } from "../schemas/common.ts";
import {
  Inbox,
  type InboxFilter,
  type InboxRegistration,
  type InboxUpdate,
  InboxWithBacklog,
} from "../schemas/inbox.ts";
import type { Context } from "./index.ts";

/** An inbox row as the API shows it. */
const inboxAt = (now: Sql): Sql => sql`
  i.ai_agent_address as "aiAgentAddress", i.inbox_destination_type as "inboxDestinationType",
  i.inbox_name as "inboxName", i.status, i.admin_status as "adminStatus", i.health_status as "healthStatus",
  i.quarantined_at is not null as quarantined, i.description, i.owner_team as "ownerTeam",
  i.heartbeat_interval_seconds as "heartbeatIntervalSeconds", i.max_delivery_attempts as "maxDeliveryAttempts",
  i.last_health_check_timestamp as "lastHealthCheckTimestamp", i.registration_timestamp as "registrationTimestamp",
  i.last_updated_timestamp as "lastUpdatedTimestamp", i.updated_by as "updatedBy", i.revision,
  case when i.status = 'INACTIVE' then i.status_reason end as "statusReason",
  case when i.delivery_paused_until > ${now} then i.delivery_paused_until end as "deliveryPausedUntil"`;

const Cursor = z.tuple([Timestamp, z.string()]);

/** Most pending messages that are counted: the count stays cheap over any backlog. */
const COUNTED = 1000;

/** How long both secrets of a webhook sign after a rotation. */
const SECRET_OVERLAP = sql`interval '24 hours'`;

/** 100,000 messages take 4 s to end with their inbox: a deletion gets what a scheduled function gets. */
const MANY = { statementTimeoutSeconds: 55 };

/** The mapping of addresses to destinations. */
export function inboxes({ db, now, hints, transaction }: Context) {
  const inbox = inboxAt(now);
  return {
    /** @throws Problem inbox_exists */
    async register(given: z.output<typeof InboxRegistration>, by: string, sealedSecret?: Buffer) {
      return db.one(
        "inboxes.register",
        Inbox,
        sql`
          with i as (
            insert into cams.agent_inboxes (
              ai_agent_address, inbox_destination_type, inbox_name, description, owner_team, heartbeat_interval_seconds,
              max_delivery_attempts, registration_timestamp, last_updated_timestamp, updated_by)
            values (
              ${given.aiAgentAddress}, ${given.inboxDestinationType}, ${given.inboxName ?? given.aiAgentAddress},
              ${given.description}, ${given.ownerTeam},
              ${given.heartbeatIntervalSeconds}, ${given.maxDeliveryAttempts}, ${now}, ${now}, ${by})
            returning *
          ), secret as (
            insert into cams.webhook_secrets (ai_agent_address, secret)
            select ai_agent_address, ${sealedSecret}::bytea from i where ${sealedSecret}::bytea is not null
          )
          select ${inbox} from i`,
      );
    },

    /** Keeps the secret of an inbox that has none yet; answers whether it had none. */
    async keepSecret(address: string, sealedSecret: Buffer): Promise<boolean> {
      const kept = await db.execute(
        "inboxes.keep_secret",
        sql`
          insert into cams.webhook_secrets (ai_agent_address, secret) values (${address}, ${sealedSecret})
          on conflict (ai_agent_address) do nothing`,
      );
      return kept === 1;
    },

    /**
     * Gives a webhook another secret; the one before signs too for 24 hours.
     * @throws Problem inbox_not_found, inbox_not_webhook, revision_mismatch
     */
    async rotateSecret(address: string, sealedSecret: Buffer, by: string, revisions?: readonly number[]) {
      const rotated = await db.execute(
        "inboxes.rotate_secret",
        sql`
          with i as (
            update cams.agent_inboxes i
            set last_updated_timestamp = ${now}, updated_by = ${by}, revision = i.revision + 1
            where ${and([sql`i.ai_agent_address = ${address}`, atRevision(revisions)])}
              and i.inbox_destination_type = 'HTTP_ENDPOINT'
            returning i.ai_agent_address
          )
          insert into cams.webhook_secrets as s (ai_agent_address, secret)
          select ai_agent_address, ${sealedSecret}::bytea from i
          on conflict (ai_agent_address) do update set
            previous_secret = s.secret, previous_until = ${now} + ${SECRET_OVERLAP}, secret = excluded.secret`,
      );
      if (rotated > 0) return;
      const found = await this.get(address);
      if (found.inboxDestinationType !== "HTTP_ENDPOINT")
        throw new Problem("inbox_not_webhook", `${address} is a ${found.inboxDestinationType}.`);
      throw refusal(found);
    },

    /** @throws Problem inbox_not_found */
    async get(address: string) {
      const found = await this.find(address);
      if (!found) throw inboxNotFound(address);
      return found;
    },

    /** An inbox, or undefined when none is registered at the address. */
    async find(address: string) {
      return db.maybe(
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
      return toPage(rows, filter.pageSize, (row) => [row.registrationTimestamp, row.aiAgentAddress]);
    },

    /**
     * Changes only what is given.
     * @throws Problem inbox_not_found, revision_mismatch, or invalid_request when the name does not fit the type
     */
    async update(address: string, given: z.output<typeof InboxUpdate>, by: string, revisions?: readonly number[]) {
      const moves = [given.inboxDestinationType, given.inboxName, given.status].some((field) => field !== undefined);
      const changes = [
        given.inboxDestinationType && sql`inbox_destination_type = ${given.inboxDestinationType}`,
        given.inboxName !== undefined && sql`inbox_name = ${given.inboxName}`,
        given.status && sql`admin_status = ${given.status}`,
        given.status && sql`status_reason = ${`admin status set to ${given.status} by ${by}`}`,
        given.description !== undefined && sql`description = ${given.description}`,
        given.ownerTeam !== undefined && sql`owner_team = ${given.ownerTeam}`,
        given.heartbeatIntervalSeconds && sql`heartbeat_interval_seconds = ${given.heartbeatIntervalSeconds}`,
        // A shorter interval ends earlier than the sweep would look: it looks now and sets its key anew. What is not
        // watched stays so: `least` alone would pass over the null.
        given.heartbeatIntervalSeconds &&
          sql`sweep_after = case when i.sweep_after is not null then least(i.sweep_after, ${now}) end`,
        given.maxDeliveryAttempts && sql`max_delivery_attempts = ${given.maxDeliveryAttempts}`,
        // Whatever was learned of the old destination says nothing of the new one.
        moves && sql`failures_in_row = 0, delivery_paused_until = null`,
      ].filter((change) => typeof change === "object");
      const updated = await db.maybe(
        "inboxes.update",
        Inbox,
        sql`
          update cams.agent_inboxes i
          set ${list(changes)}, last_updated_timestamp = ${now}, updated_by = ${by}, revision = i.revision + 1
          where ${and([sql`i.ai_agent_address = ${address}`, atRevision(revisions)])}
          returning ${inbox}`,
      );
      if (!updated) throw refusal(await this.get(address));
      if (moves) for (const topic of topicsOf(address)) db.afterCommit(() => hints.publish(topic));
      return updated;
    },

    /**
     * Ends what is still queued as dead letters; the history stays.
     * @throws Problem inbox_not_found, revision_mismatch
     */
    async delete(address: string, revisions?: readonly number[]): Promise<void> {
      await transaction(async (repo, db) => {
        // First the inbox: a send holds its row until it commits, so no message slips in behind the next statement.
        const deleted = await db.execute(
          "inboxes.delete",
          sql`
            delete from cams.agent_inboxes i
            where ${and([sql`i.ai_agent_address = ${address}`, atRevision(revisions)])}`,
        );
        if (deleted === 0) throw refusal(await repo.inboxes.get(address));
        await repo.messages.deadLetterAll(address, "inbox_deleted");
      }, MANY);
    },
  };
}

function refusal({ revision }: { revision: number }): Problem {
  return new Problem("revision_mismatch", `The inbox is at revision ${revision}.`);
}

function atRevision(revisions: readonly number[] | undefined): Sql | undefined {
  return revisions && sql`i.revision = any(${revisions}::int[])`;
}
