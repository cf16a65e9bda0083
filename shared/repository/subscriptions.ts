import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { definitionNotFound, forbidden, Problem, subscriptionNotFound } from "../errors.ts";
import { decidesOver, isUnbound } from "../rules/access.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { type Matches, matchesOf } from "../rules/event-matching.ts";
import { priorityRank } from "../rules/priority.ts";
import { Subscription, type SubscriptionFilter, type SubscriptionToCreate } from "../schemas/subscription.ts";
import { refusals } from "./authority.ts";
import { candidatesFor } from "./event-match.ts";
import type { Context } from "./index.ts";

const Cursor = z.tuple([z.guid()]);
const Definition = z.object({ kind: z.string(), ownerTeam: z.string().optional(), retired: z.boolean() });
/** All that fit a type are read for every event of it: 10,000 of `#` cost each publication 150 to 230 ms. */
const MOST_OF_TARGET = 100;
type To = z.output<typeof Subscription>["to"];

/** A subscription `s`, as the API shows it. */
const shown = sql`
  s.subscription_id as "subscriptionId", s.event_type as "eventType", s.filters,
  case when s.ai_agent_address is not null then json_build_object('aiAgentAddress', s.ai_agent_address)
    else json_build_object('definitionId', s.definition_id) end as "to",
  (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[s.priority] as priority, s.from_version as "fromVersion",
  s.owner_team as "ownerTeam", s.created_at as "createdAt", s.created_by as "createdBy", s.revision`;

/** Who is to be told of which events. All who call may read them. */
export function subscriptions(context: Context) {
  const { db, now, caller } = context;

  /** @throws Problem definition_not_found; forbidden when it is another team's */
  async function ownDefinition(id: string): Promise<z.output<typeof Definition>> {
    const found = await db.one(
      "subscriptions.definition",
      Definition,
      sql`
        select d.kind, d.owner_team as "ownerTeam", d.retired_at is not null as retired
        from cams.definitions d
        where d.definition_id = ${id}`,
      () => definitionNotFound(id),
    );
    if (!isUnbound(caller) && (found.ownerTeam === undefined || found.ownerTeam !== caller.team))
      throw forbidden(`${caller.principal} does not decide over what ${id} gets: another team owns it.`);
    return found;
  }

  /** @throws Problem inbox_not_found; forbidden when the caller does not act for it */
  async function ensureOwnInbox(address: string): Promise<void> {
    const refused = (await refusals(context, [address])).get(address);
    if (refused) throw refused;
  }

  /** @throws Problem as its target is missing, takes no tasks, or is not the caller's */
  async function ensureMayGet(to: To): Promise<void> {
    if ("aiAgentAddress" in to) return ensureOwnInbox(to.aiAgentAddress);
    const id = to.definitionId;
    const { kind, retired } = await ownDefinition(id);
    if (kind !== "Agent") throw new Problem("definition_kind_mismatch", `${id} is a ${kind}: it has no pool.`);
    if (retired) throw new Problem("definition_retired", `${id} is retired.`);
  }

  async function get(id: string): Promise<z.output<typeof Subscription>> {
    return db.one(
      "subscriptions.get",
      Subscription,
      sql`select ${shown} from cams.subscriptions s where s.subscription_id = ${id}`,
      () => subscriptionNotFound(id),
    );
  }

  return {
    /**
     * Subscribes an inbox that the caller acts for, or a definition of its team.
     * @throws Problem inbox_not_found, definition_not_found, definition_kind_mismatch, definition_retired,
     * too_many_subscriptions; forbidden
     */
    async create({ to, eventType, filters, priority }: z.output<typeof SubscriptionToCreate>) {
      await ensureMayGet(to);
      const address = "aiAgentAddress" in to ? to.aiAgentAddress : undefined;
      const definition = "definitionId" in to ? to.definitionId : undefined;
      const target =
        address === undefined ? sql`o.definition_id = ${definition}` : sql`o.ai_agent_address = ${address}`;
      // In a transaction, which is told who calls: the audit names it.
      return context.transaction((_, { db }) =>
        db.one(
          "subscriptions.create",
          Subscription,
          sql`
            with others as materialized (
              select from cams.subscriptions o where ${target} and o.from_version is null limit ${MOST_OF_TARGET}::integer
            ), s as (
              insert into cams.subscriptions (subscription_id, event_type, filters, priority, ai_agent_address, definition_id,
                owner_team, created_at, created_by)
              select cams.uuid7(${now}), ${eventType}, ${filters && JSON.stringify(filters)}::jsonb,
                ${priority && priorityRank(priority)}::smallint, ${address}, ${definition}, ${caller.team}, ${now}, ${caller.principal}
              where (select count(*) from others) < ${MOST_OF_TARGET}::integer
              returning *
            )
            select ${shown} from s`,
          () => new Problem("too_many_subscriptions", `${address ?? definition} has ${MOST_OF_TARGET} of them.`),
        ),
      );
    },

    get,

    /** Newest first. */
    async list(filter: z.output<typeof SubscriptionFilter>) {
      const cursor = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "subscriptions.list",
        Subscription,
        sql`
          select ${shown} from cams.subscriptions s
          where ${and([
            filter.eventType !== undefined && sql`s.event_type = ${filter.eventType}`,
            filter.aiAgentAddress !== undefined && sql`s.ai_agent_address = ${filter.aiAgentAddress}`,
            filter.definitionId !== undefined && sql`s.definition_id = ${filter.definitionId}`,
            cursor && sql`s.subscription_id < ${cursor[0]}::uuid`,
          ])}
          order by s.subscription_id desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, ({ subscriptionId }) => [subscriptionId]);
    },

    /**
     * Ends a subscription. What events have made of it stays.
     * @throws Problem subscription_not_found, subscription_of_definition, revision_mismatch; forbidden
     */
    async delete(id: string, revisions: readonly number[] | undefined): Promise<void> {
      const found = await get(id);
      if (found.fromVersion !== undefined)
        throw new Problem(
          "subscription_of_definition",
          `It is a trigger of ${Object.values(found.to)} ${found.fromVersion}: it goes with that version.`,
        );
      const { to } = found;
      if (!decidesOver(caller, found.ownerTeam) && (found.createdBy !== caller.principal || caller.limitedTo))
        await ("definitionId" in to ? ownDefinition(to.definitionId) : ensureOwnInbox(to.aiAgentAddress));
      if (revisions && !revisions.includes(found.revision))
        throw new Problem("revision_mismatch", `The subscription is at revision ${found.revision}.`);
      const deleted = await context.transaction((_, bound) =>
        bound.db.execute("subscriptions.delete", sql`delete from cams.subscriptions s where s.subscription_id = ${id}`),
      );
      if (deleted === 0) throw subscriptionNotFound(id);
    },

    /** Who would get an event, and who would not though the pattern fits. Nothing happens. */
    async match(event: {
      type: string;
      data?: unknown;
      priority: "CRITICAL" | "HIGH" | "NORMAL" | "LOW";
    }): Promise<Matches> {
      const [named] = await candidatesFor(context, [event.type]);
      return matchesOf(event, named?.candidates ?? []);
    },
  };
}
