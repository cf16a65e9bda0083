import * as z from "zod";
import { and, or, type Sql, sql } from "../db/sql.ts";
import { forbidden, inboxNotFound, type Problem } from "../errors.ts";
import { type Caller, decidesOver, isUnbound, speaksFor, teamOf } from "../rules/access.ts";
import type { Context } from "./index.ts";

const Owned = z.object({ address: z.string(), ownerTeam: z.string().optional() });

/** Addresses that the caller may not act for, each with the reason. */
export type Refused = ReadonlyMap<string, Problem>;

const NONE: Refused = new Map();

/**
 * Of these addresses those that the caller does not act for: neither speaks for by itself nor, as an operator, has as
 * its team's inbox. Locks nothing; what must not be done to an inbox given away meanwhile has `isOwnInbox` beside it.
 */
export async function refusals({ db, caller }: Context, addresses: readonly string[]): Promise<Refused> {
  // A batch names few senders many times.
  const others = [...new Set(addresses)].filter((address) => !speaksFor(caller, address));
  if (others.length === 0) return NONE;
  const team = teamOf(caller);
  if (team === undefined) return new Map(others.map((address) => [address, notYours(caller, address)]));
  const rows = await db.many(
    "authority.owners",
    Owned,
    sql`
      select i.ai_agent_address as address, i.owner_team as "ownerTeam"
      from cams.agent_inboxes i
      where i.ai_agent_address = any (${others}::text[])`,
  );
  const owners = new Map(rows.map(({ address, ownerTeam }) => [address, ownerTeam]));
  const refused = new Map<string, Problem>();
  for (const address of others)
    if (!owners.has(address)) refused.set(address, inboxNotFound(address));
    else if (owners.get(address) !== team) refused.set(address, notYours(caller, address));
  return refused;
}

// biome-ignore lint/suspicious/noExplicitAny: each method has parameters of its own behind the address
type ByAddress = Record<string, (address: string, ...rest: any[]) => Promise<unknown>>;

/** The same methods, each of which first asks whether the caller acts for the address it is given. */
export function guarded<Methods extends ByAddress>(context: Context, methods: Methods): Methods {
  const guard =
    (method: ByAddress[string]): ByAddress[string] =>
    async (address, ...rest) => {
      const refusal = (await refusals(context, [address])).get(address);
      if (refusal) throw refusal;
      return method(address, ...rest);
    };
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, guard(method)])) as Methods;
}

/** Condition on an inbox `i`: it still is the caller's team's. None when the caller speaks for its address. */
export function isOwnInbox(caller: Caller, address: string): Sql | undefined {
  return speaksFor(caller, address) ? undefined : sql`i.owner_team = ${teamOf(caller)}`;
}

/** A caller in a refusal: its principal may well be allowed what a limited key is not. */
export function calledAs({ principal, limitedTo }: Caller): string {
  return limitedTo ? `This key of ${principal}` : principal;
}

/** Whether a caller may know what only those do who act for an inbox. */
export function seesInside(caller: Caller, { aiAgentAddress, ownerTeam }: InboxOwner): boolean {
  return speaksFor(caller, aiAgentAddress) || decidesOver(caller, ownerTeam);
}

interface InboxOwner {
  aiAgentAddress: string;
  ownerTeam?: string | undefined;
}

/** Condition on a message `m`: the caller acts for its sender or its recipient. None when everything is in its reach. */
export function messageIsVisible(caller: Caller): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  return or([actsFor(caller, sql`m.recipient_address`), actsFor(caller, sql`m.sender_address`)]);
}

/** Condition on a message `m`: the caller acts for its sender, or as an operator for its recipient. */
export function messageIsCancellable(caller: Caller): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  const team = teamOf(caller);
  return or([actsFor(caller, sql`m.sender_address`), team !== undefined && ofTeam(team, sql`m.recipient_address`)]);
}

/** Condition on an address: the caller acts for it. Of a caller that is not unbound. */
export function actsFor(caller: Caller, address: Sql): Sql {
  const team = teamOf(caller);
  const limit = caller.limitedTo && matching(caller.limitedTo, address);
  return or([and([matching(caller.addresses, address), limit]), team !== undefined && ofTeam(team, address)]);
}

/** As `speaksFor` decides it. Names without `*` stand apart: of the archive an index finds them. */
function matching(patterns: readonly string[], address: Sql): Sql {
  const names = patterns.filter((pattern) => !pattern.includes("*"));
  const likes = patterns.filter((pattern) => pattern.includes("*")).map(likeOf);
  return or([
    names.length > 0 && sql`${address} = any (${names}::text[])`,
    likes.length > 0 && sql`${address} like any (${likes}::text[])`,
  ]);
}

function ofTeam(team: string, address: Sql): Sql {
  return sql`${address} in (select i.ai_agent_address from cams.agent_inboxes i where i.owner_team = ${team})`;
}

function likeOf(pattern: string): string {
  return pattern.replaceAll(/[\\%_]/g, "\\$&").replaceAll("*", "%");
}

/** The refusal of what is done for an address by somebody who does not act for it. */
export function notYours(caller: Caller, address: string): Problem {
  return forbidden(`${calledAs(caller)} does not act for ${address}.`);
}
