import * as z from "zod";
import { and, type Sql, sql } from "../db/sql.ts";
import { isUnbound, speaksFor, teamOf } from "../rules/access.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import { Message, type MessageFilter } from "../schemas/message.ts";
import { messageIsVisible } from "./authority.ts";
import type { Context } from "./index.ts";
import { archivedMessage, liveMessage, liveStatus } from "./message-rows.ts";

const Cursor = z.tuple([z.guid()]);
const Named = z.object({ address: z.string() });

/** Most addresses that are looked for one by one: a hundred in 45 partitions take 30 ms. */
const MOST_NAMES = 100;

/** Lists messages newest first, live and archived in one snapshot: only what the caller may see. */
export function listing({ db, now, caller }: Context) {
  return async function list(filter: z.output<typeof MessageFilter>) {
    const cursor = readCursor(Cursor, filter.pageToken);
    const named = [filter.recipientAddress, filter.senderAddress].filter((address) => address !== undefined);
    // Asked for by an address of its own, nothing is hidden: the filter's index alone serves.
    const allOwn = isUnbound(caller) || named.some((address) => speaksFor(caller, address));
    const visible = allOwn ? undefined : messageIsVisible(caller);
    const names = visible && named.length === 0 ? await ownNames() : undefined;

    const rowsOf = (status: Sql, ...more: (Sql | undefined)[]) =>
      and([
        filter.recipientAddress !== undefined && sql`m.recipient_address = ${filter.recipientAddress}`,
        filter.senderAddress !== undefined && sql`m.sender_address = ${filter.senderAddress}`,
        filter.messageType !== undefined && sql`m.message_type = ${filter.messageType}`,
        filter.correlationId !== undefined && sql`m.correlation_id = ${filter.correlationId}`,
        filter.after !== undefined && sql`m.accepted_at >= ${filter.after}::timestamptz`,
        filter.before !== undefined && sql`m.accepted_at < ${filter.before}::timestamptz`,
        filter.status && sql`${status} = ${filter.status}`,
        cursor && sql`m.message_id < ${cursor[0]}::uuid`,
        ...more,
      ]);
    const newest = sql`order by m.message_id desc limit ${filter.pageSize + 1}`;
    const archived = (...more: (Sql | undefined)[]) =>
      sql`cams.message_archive m where ${rowsOf(
        sql`m.status`,
        filter.after === undefined ? undefined : sql`m.finished_at >= ${filter.after}::timestamptz`,
        ...more,
      )} ${newest}`;

    const rows = await db.many(
      "messages.list",
      Message,
      sql`
        (select ${liveMessage(now)} from cams.messages m where ${rowsOf(liveStatus(now), visible)} ${newest})
        union all
        (select ${archivedMessage} from ${
          names
            ? sql`(
                -- Whatever the plan, only what is theirs is read: to look for few among millions, newest first, is long.
                select distinct on (m.message_id) m.*
                from unnest(${names}::text[]) own (address) cross join lateral (
                  (select m.* from ${archived(sql`m.recipient_address = own.address`)})
                  union all
                  (select m.* from ${archived(sql`m.sender_address = own.address`)})
                ) m
              ) m ${newest}`
            : archived(visible)
        })
        order by "messageId" desc
        limit ${filter.pageSize + 1}`,
    );
    return toPage(rows, filter.pageSize, (row) => [row.messageId]);
  };

  /** All addresses that the caller acts for, if they are known by name and few. */
  async function ownNames(): Promise<string[] | undefined> {
    if (caller.addresses.some((address) => address.includes("*"))) return undefined;
    const names = caller.addresses.filter((address) => speaksFor(caller, address));
    const team = teamOf(caller);
    if (team !== undefined) {
      const owned = await db.many(
        "messages.names",
        Named,
        sql`
          select i.ai_agent_address as address from cams.agent_inboxes i
          where i.owner_team = ${team}
          limit ${MOST_NAMES + 1}`,
      );
      names.push(...owned.map(({ address }) => address));
    }
    return names.length > MOST_NAMES ? undefined : [...new Set(names)];
  }
}
