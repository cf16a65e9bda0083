import * as z from "zod";
import { and, list, type Sql, sql } from "../db/sql.ts";
import { forbidden, Problem } from "../errors.ts";
import { decidesOver, isUnbound, teamOf } from "../rules/access.ts";
import { topicsOf } from "../rules/topics.ts";
import { Inbox, type InboxUpdate } from "../schemas/inbox.ts";
import { isOwnInbox, notYours, seesInside } from "./authority.ts";
import { inboxAt } from "./inbox-rows.ts";
import type { Context } from "./index.ts";

const Reached = z.object({ agentId: z.string() });

/** How long both secrets of a webhook sign after a rotation. */
const SECRET_OVERLAP = sql`interval '24 hours'`;

/** 100,000 messages take 4 s to end with their inbox: a deletion gets what a scheduled function gets. */
const MANY = { statementTimeoutSeconds: 55 };

/** What changes a registered inbox, in transactions that say who did it. */
export function inboxChanges({ db, now, hints, caller, transaction }: Context) {
  const by = caller.principal;

  const which = (address: string, revisions: readonly number[] | undefined): Sql =>
    and([
      sql`i.ai_agent_address = ${address}`,
      revisions && sql`i.revision = any(${revisions}::int[])`,
      isOwnInbox(caller, address),
    ]);

  /** Whoever is quarantined does not end that by a new beginning: then it is who may quarantine that deletes. */
  const mayEnd = isUnbound(caller)
    ? undefined
    : sql`(i.quarantined_at is null or coalesce(i.owner_team = ${teamOf(caller)}, false))`;

  function refusal(found: z.output<typeof Inbox>): Problem {
    if (!seesInside(caller, found)) return notYours(caller, found.aiAgentAddress);
    return new Problem("revision_mismatch", `The inbox is at revision ${found.revision}.`);
  }

  return {
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
    async rotateSecret(address: string, sealedSecret: Buffer, revisions?: readonly number[]): Promise<void> {
      await transaction(async (repo, { db }) => {
        const rotated = await db.execute(
          "inboxes.rotate_secret",
          sql`
            with i as (
              update cams.agent_inboxes i
              set last_updated_timestamp = ${now}, updated_by = ${by}, revision = i.revision + 1
              where ${which(address, revisions)}
                and i.inbox_destination_type = 'HTTP_ENDPOINT'
              returning i.ai_agent_address
            )
            insert into cams.webhook_secrets as s (ai_agent_address, secret)
            select ai_agent_address, ${sealedSecret}::bytea from i
            on conflict (ai_agent_address) do update set
              previous_secret = s.secret, previous_until = ${now} + ${SECRET_OVERLAP}, secret = excluded.secret`,
        );
        if (rotated > 0) return;
        const found = await repo.inboxes.get(address);
        if (found.inboxDestinationType !== "HTTP_ENDPOINT")
          throw new Problem("inbox_not_webhook", `${address} is a ${found.inboxDestinationType}.`);
        throw refusal(found);
      });
    },

    /**
     * Changes only what is given.
     * @throws Problem inbox_not_found, revision_mismatch; forbidden when anybody but an administrator would give the
     * inbox to another team; invalid_request when the name does not fit the type
     */
    async update(address: string, given: z.output<typeof InboxUpdate>, revisions?: readonly number[]) {
      const moves = [given.inboxDestinationType, given.inboxName, given.status].some((field) => field !== undefined);
      const changes = [
        given.inboxDestinationType && sql`inbox_destination_type = ${given.inboxDestinationType}`,
        given.inboxName !== undefined && sql`inbox_name = ${given.inboxName}`,
        given.status && sql`admin_status = ${given.status}`,
        given.status && sql`status_reason = ${`admin status set to ${given.status} by ${by}`}`,
        given.description !== undefined && sql`description = ${given.description}`,
        given.ownerTeam !== undefined && isUnbound(caller) && sql`owner_team = ${given.ownerTeam}`,
        given.heartbeatIntervalSeconds && sql`heartbeat_interval_seconds = ${given.heartbeatIntervalSeconds}`,
        // A shorter interval ends earlier than the sweep would look: it looks now and sets its key anew. What is not
        // watched stays so: `least` alone would pass over the null.
        given.heartbeatIntervalSeconds &&
          sql`sweep_after = case when i.sweep_after is not null then least(i.sweep_after, ${now}) end`,
        given.maxDeliveryAttempts && sql`max_delivery_attempts = ${given.maxDeliveryAttempts}`,
        // Whatever was learned of the old destination says nothing of the new one.
        moves && sql`failures_in_row = 0, delivery_paused_until = null`,
      ].filter((change) => typeof change === "object");
      return transaction(async (repo, { db }) => {
        const updated = await db.maybe(
          "inboxes.update",
          Inbox,
          sql`
            update cams.agent_inboxes i
            set ${list([...changes, sql`last_updated_timestamp = ${now}`])}, updated_by = ${by},
              revision = i.revision + 1
            where ${which(address, revisions)}
            returning ${inboxAt(now)}`,
        );
        if (!updated) throw refusal(await repo.inboxes.get(address));
        if (given.ownerTeam !== undefined && (given.ownerTeam ?? undefined) !== updated.ownerTeam)
          throw forbidden("Only an administrator gives an inbox to another team.");
        if (moves) for (const topic of topicsOf(address)) db.afterCommit(() => hints.publish(topic));
        return updated;
      });
    },

    /**
     * Ends what is still queued as dead letters; the history stays.
     * @throws Problem inbox_not_found, inbox_in_use, revision_mismatch; forbidden while it is quarantined
     */
    async delete(address: string, revisions?: readonly number[]): Promise<void> {
      await transaction(async (repo, { db }) => {
        const agent = await db.maybe(
          "inboxes.agent",
          Reached,
          sql`select a.agent_id as "agentId" from cams.agents a where a.ai_agent_address = ${address}`,
        );
        if (agent)
          throw new Problem("inbox_in_use", `The agent ${agent.agentId} is reached at ${address}: delete it first.`);
        // First the inbox: a send holds its row until it commits, so no message slips in behind the next statement.
        const deleted = await db.execute(
          "inboxes.delete",
          sql`
            delete from cams.agent_inboxes i
            where ${and([which(address, revisions), mayEnd])}`,
        );
        if (deleted === 0) {
          const found = await repo.inboxes.get(address);
          if (found.quarantined && seesInside(caller, found) && !decidesOver(caller, found.ownerTeam))
            throw forbidden(`${address} is quarantined: only its team's operators delete it.`);
          throw refusal(found);
        }
        await repo.messages.deadLetterAll(address, "inbox_deleted");
      }, MANY);
    },
  };
}
