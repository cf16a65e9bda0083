import * as z from "zod";
import { and, raw, type Sql, sql } from "../db/sql.ts";
import { type Caller, isUnbound, teamOf } from "../rules/access.ts";
import { readCursor, toPage } from "../rules/cursors.ts";
import type { AuditEntry, AuditFilter } from "../schemas/audit.ts";
import { Timestamp } from "../schemas/common.ts";
import { inWords, type Row } from "./audit-rows.ts";
import type { Context } from "./index.ts";

const Recorded = z.object({
  sequence: z.int(),
  at: Timestamp,
  hash: z.string(),
  entry: z.looseObject({ before: z.custom<Row | null>().optional(), after: z.custom<Row | null>().optional() }),
});
const Verified = z.object({
  checked: z.int(),
  brokenAt: z.int().optional(),
  sequence: z.int().optional(),
  hash: z.string().optional(),
});
const Cursor = z.tuple([z.int()]);

/** The hash before the first entry. */
const START = sql`decode(repeat('00', 32), 'hex')`;
/** Behind every entry. */
const LAST = raw("9223372036854775807");

/** A million entries of 1 kB take 15 to 30 s on two processors. */
const LONG = { statementTimeoutSeconds: 240 };

/** The record of every decision; its entries are made by triggers alone. */
export function audit({ db, caller, transaction }: Context) {
  return {
    /** Newest first; of an operator only what concerns its team's things. */
    async list(filter: z.output<typeof AuditFilter>) {
      const before = readCursor(Cursor, filter.pageToken);
      const rows = await db.many(
        "audit.list",
        Recorded,
        sql`
          select a.sequence, a.at, encode(a.hash, 'hex') as hash, a.entry
          from cams.audit_log a
          where ${and([
            filter.resourceType !== undefined && sql`a.resource_type = ${filter.resourceType}`,
            filter.resourceId !== undefined && sql`a.resource_id = ${filter.resourceId}`,
            filter.actor !== undefined && sql`a.actor = ${filter.actor}`,
            filter.action !== undefined && sql`a.action = ${filter.action}`,
            filter.after !== undefined && since(filter.after),
            filter.before !== undefined && until(filter.before),
            before && sql`a.sequence < ${before[0]}`,
            entryIsVisible(caller),
          ])}
          order by a.sequence desc
          limit ${filter.pageSize + 1}`,
      );
      const { items, ...next } = toPage(rows, filter.pageSize, (row) => [row.sequence]);
      return { items: items.map(toEntry), ...next };
    },

    /** Looks at the whole chain, in one snapshot, and names the first place at which it does not hold. */
    async verify() {
      return transaction(
        (_, { db }) =>
          db.one(
            "audit.verify",
            Verified,
            sql`
              with chain as (
                select a.sequence, a.hash, coalesce(lag(a.sequence) over w, 0) + 1 as expected,
                  cams.audit_hash(coalesce(lag(a.hash) over w, ${START}), a.sequence, a.at, a.entry)
                    as computed
                from cams.audit_log a
                window w as (order by a.sequence)
              ), seen as (
                select count(*) as checked, coalesce(max(sequence), 0) as last,
                  min(case when sequence <> expected then least(sequence, expected)
                    when hash is distinct from computed then sequence end) as broken
                from chain
              )
              select seen.checked, head.sequence, encode(head.hash, 'hex') as hash,
                coalesce(seen.broken, case
                  -- More than the head knows of, or less.
                  when head.sequence is distinct from seen.last then least(head.sequence, seen.last) + 1
                  when head.hash is distinct from (
                    select a.hash from cams.audit_log a where a.sequence = seen.last
                    union all
                    select ${START} where seen.last = 0
                  ) then greatest(seen.last, 1)
                end) as "brokenAt"
              from seen left join cams.audit_head head on true`,
          ),
        LONG,
      );
    },
  };
}

/** Conditions on an entry `a`. By its place too: times rise along the chain, and that is the way it is read. */
const since = (time: string): Sql => sql`a.at >= ${time}::timestamptz and a.sequence >= coalesce((
  select b.sequence from cams.audit_log b where b.at >= ${time}::timestamptz order by b.at, b.sequence limit 1), ${LAST})`;
const until = (time: string): Sql => sql`a.at < ${time}::timestamptz and a.sequence <= coalesce((
  select b.sequence from cams.audit_log b where b.at < ${time}::timestamptz order by b.at desc, b.sequence desc limit 1), 0)`;

/** Condition on an entry `a`: it concerns what the caller's team owns, or owned until then. */
function entryIsVisible(caller: Caller): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  const team = teamOf(caller);
  return sql`(a.owner_team = ${team} or a.previous_team = ${team})`;
}

function toEntry({ entry, ...row }: z.output<typeof Recorded>): z.output<typeof AuditEntry> {
  const { before, after, ...rest } = entry;
  const states = { ...(before && { before: inWords(before) }), ...(after && { after: inWords(after) }) };
  const told = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  return { ...row, ...told, ...states } as z.output<typeof AuditEntry>;
}
