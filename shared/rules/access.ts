/** What callers may do: `agent` < `operator` < `admin`; `system` (Cloud Scheduler, deploys) stands apart. */
export type CallerRole = "agent" | "operator" | "admin" | "system";
/** What an endpoint asks for: a role, or with `public` nothing. */
export type Role = CallerRole | "public";

/** As whom statements are run: what each may do in the database is granted by the migrations. */
export const DATABASE_ROLES = ["cams_reader", "cams_agent", "cams_operator", "cams_system", "cams_migrator"] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** Who calls, from the credential. */
export interface Caller {
  /** Id of the principal. */
  principal: string;
  role: CallerRole;
  team?: string | undefined;
  /** Addresses it speaks for; `*` in one stands for any characters. */
  addresses: readonly string[];
  /** With a limited key: of those only what is in here too. */
  limitedTo?: readonly string[] | undefined;
}

/** The service itself: what it does without being asked, and what the scheduler asks for. */
export const SYSTEM: Caller = { principal: "cams", role: "system", addresses: [] };

const RANK = { agent: 1, operator: 2, admin: 3 };

/** Whether a caller may call an endpoint of this role. */
export function permits(role: Role, caller: Caller): boolean {
  if (role === "public") return true;
  if (role === "system" || caller.role === "system") return role === caller.role;
  return RANK[caller.role] >= RANK[role];
}

/** Whether nothing is out of a caller's reach. */
export function isUnbound({ role }: Caller): boolean {
  return role === "admin" || role === "system";
}

/** Whether a caller speaks for an address by its own name, whoever owns the inbox. */
export function speaksFor(caller: Caller, address: string): boolean {
  if (isUnbound(caller)) return true;
  const { addresses, limitedTo } = caller;
  return matchesAny(addresses, address) && (limitedTo === undefined || matchesAny(limitedTo, address));
}

/** The team over whose things a caller decides: an operator's own. */
export function teamOf({ role, team }: Caller): string | undefined {
  return role === "operator" ? team : undefined;
}

/** Whether a caller decides over what a team owns. */
export function decidesOver(caller: Caller, ownerTeam: string | undefined): boolean {
  return isUnbound(caller) || (ownerTeam !== undefined && teamOf(caller) === ownerTeam);
}

function matchesAny(patterns: readonly string[], address: string): boolean {
  return patterns.some((pattern) => matches(pattern, address));
}

/**
 * Whether an address fits a pattern, in time at most the product of their lengths: on a mismatch only the last `*` takes
 * one character more.
 */
export function matches(pattern: string, address: string): boolean {
  let p = 0;
  let a = 0;
  let star = -1;
  let resume = 0;
  while (a < address.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = a;
    } else if (p < pattern.length && pattern[p] === address[a]) {
      p++;
      a++;
    } else if (star >= 0) {
      p = star + 1;
      a = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
