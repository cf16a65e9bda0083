import { z } from "zod";
import { and, or, type Sql, sql } from "../db/sql.ts";
import { forbidden, inboxNotFound, type Problem } from "../errors.ts";
import { type Caller, isUnbound, speaksFor, teamOf } from "../rules/access.ts";
import type { Context } from "./index.ts";

const Owned = z.object({ address: z.string(), ownerTeam: z.string().optional() });

/** Addresses that the caller may not act for, each with the reason. */
export type Refused = ReadonlyMap<string, Problem>;

const NONE: Refused = new Map();

/**
 * Runs `work` for the addresses that the caller acts for: those it speaks for by itself, and as an operator those whose
 * inbox is its team's, which are held so until `work` has committed. `work` gets the others as refused.
 */
export async function actingFor<T>(
  context: Context,
  addresses: readonly string[],
  work: (refused: Refused, bound: Context) => Promise<T>,
): Promise<T> {
  const { caller } = context;
  const others = addresses.filter((address) => !speaksFor(caller, address));
  if (others.length === 0) return work(NONE, context);
  const team = teamOf(caller);
  if (team === undefined) return work(new Map(others.map((address) => [address, notYours(caller, address)])), context);
  return context.transaction(async (_, bound) => {
    const rows = await bound.db.many(
      "authority.hold",
      Owned,
      sql`
        select i.ai_agent_address as address, i.owner_team as "ownerTeam"
        from cams.agent_inboxes i
        where i.ai_agent_address = any (${others}::text[])
        order by i.ai_agent_address
        for no key update`,
    );
    const owners = new Map(rows.map(({ address, ownerTeam }) => [address, ownerTeam]));
    const refused = new Map<string, Problem>();
    for (const address of others)
      if (!owners.has(address)) refused.set(address, inboxNotFound(address));
      else if (owners.get(address) !== team) refused.set(address, notYours(caller, address));
    return work(refused, bound);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: each method has parameters of its own behind the address
type ByAddress = Record<string, (address: string, ...rest: any[]) => Promise<unknown>>;

/** The same methods, each of which first asks whether the caller acts for the address it is given. */
export function guarded<Methods extends ByAddress>(
  context: Context,
  methodsOf: (context: Context) => Methods,
): Methods {
  const methods = methodsOf(context);
  const guard =
    (name: string) =>
    (address: string, ...rest: unknown[]) =>
      actingFor(context, [address], async (refused, bound) => {
        const refusal = refused.get(address);
        if (refusal) throw refusal;
        const allowed = bound === context ? methods : methodsOf(bound);
        return (allowed[name] as ByAddress[string])(address, ...rest);
      });
  return Object.fromEntries(Object.keys(methods).map((name) => [name, guard(name)])) as unknown as Methods;
}

/** A caller in a refusal: its principal may well be allowed what a limited key is not. */
export function nameOf({ principal, limitedTo }: Caller): string {
  return limitedTo ? `This key of ${principal}` : principal;
}

/** Whether a caller may know what only those do who act for an inbox. */
export function seesInside(caller: Caller, { aiAgentAddress, ownerTeam }: InboxOwner): boolean {
  const team = teamOf(caller);
  return speaksFor(caller, aiAgentAddress) || (team !== undefined && ownerTeam === team);
}

interface InboxOwner {
  aiAgentAddress: string;
  ownerTeam?: string | undefined;
}

/** Condition on a message `m`: the caller acts for its sender or its recipient. None when everything is in its reach. */
export function messageIsVisible(caller: Caller): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  return or([isOwn(caller, sql`m.recipient_address`), isOwn(caller, sql`m.sender_address`)]);
}

/** Condition on a message `m`: the caller acts for its sender, or as an operator for its recipient. */
export function messageIsCancellable(caller: Caller): Sql | undefined {
  if (isUnbound(caller)) return undefined;
  const team = teamOf(caller);
  return or([isOwn(caller, sql`m.sender_address`), team !== undefined && ofTeam(team, sql`m.recipient_address`)]);
}

function isOwn(caller: Caller, address: Sql): Sql {
  const team = teamOf(caller);
  const limit = caller.limitedTo && matching(caller.limitedTo, address);
  return or([and([matching(caller.addresses, address), limit]), team !== undefined && ofTeam(team, address)]);
}

/** As `speaksFor` decides it. Names without `*` stand apart: an index finds them. */
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

function notYours(caller: Caller, address: string): Problem {
  return forbidden(`${nameOf(caller)} does not act for ${address}.`);
}
