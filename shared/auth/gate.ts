import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { forbidden } from "../errors.ts";
import { type Caller, permits, type Role, SYSTEM } from "../rules/access.ts";
import type { Directory } from "./directory.ts";
import type { FetchSettings } from "./issuers.ts";
import { createOidc } from "./oidc.ts";
import { createPrincipals } from "./principals.ts";
import { proofOf } from "./proof.ts";
import { createCount } from "./rate-limit.ts";

/** Who comes in. */
export interface Gate {
  /**
   * Tells who calls, and whether it may call an endpoint of this role.
   * @throws Problem unauthenticated, forbidden, issuer_unavailable, database_unavailable
   */
  admit(req: IncomingMessage, role: Role, directory: Directory): Promise<Caller>;
  /**
   * Counts a request of this caller.
   * @throws Problem rate_limited
   */
  count(caller: Caller): Promise<void>;
}

interface Settings extends FetchSettings {
  /** A clock that only goes forward, in milliseconds. */
  now(): number;
}

/** Whoever calls an endpoint that asks for nothing: no credential is looked at. */
const ANYBODY: Caller = { principal: "anonymous", role: "agent", addresses: [] };
/** With `AUTH_MODE=none`. */
const LOCAL: Caller = { principal: "local", role: "admin", addresses: [] };

const USUAL: Settings = { timeoutMs: 5_000, cooldownMs: 30_000, now: () => performance.now() };

/** Lets in who proves to be somebody: `docs/authentication.md` has the rules. Reaches out for nothing yet. */
export function createGate(config: Config, settings: Partial<Settings> = {}): Gate {
  const identify = config.AUTH_MODE === "none" ? localCaller : identifier(config, { ...USUAL, ...settings });
  const count = createCount(config.AUTH_MODE === "none" ? 0 : config.RATE_LIMIT_PER_MINUTE);
  return {
    async admit(req, role, directory) {
      if (role === "public") return ANYBODY;
      const caller = await identify(req, role, directory);
      if (!permits(role, caller)) throw forbidden(`This takes the role ${role}${asAgent(caller)}.`);
      return caller;
    },
    async count(caller) {
      // Neither is one principal: together all who watch whether the service lives could use up what one may do.
      if (caller !== ANYBODY && caller.role !== "system") await count(caller.principal);
    },
  };
}

/** An administrator whose key is limited would look for the fault elsewhere. */
function asAgent({ limitedTo }: Caller): string {
  return limitedTo ? ": a key limited to addresses is an agent's" : "";
}

async function localCaller(_req: IncomingMessage, role: Role): Promise<Caller> {
  return role === "system" ? { ...SYSTEM, principal: LOCAL.principal } : LOCAL;
}

function identifier(config: Config, settings: Settings) {
  const oidc = createOidc(config, settings);
  const principals = createPrincipals(config, settings.now);
  return async (req: IncomingMessage, _role: Role, directory: Directory): Promise<Caller> => {
    const proof = proofOf(req, config);
    if ("key" in proof) return principals.byKey(proof.key, directory);
    return principals.byId("token" in proof ? await oidc(proof.token) : proof.account, directory);
  };
}
