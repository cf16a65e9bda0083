import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { forbidden } from "../errors.ts";
import { type Caller, permits, type Role, SYSTEM } from "../rules/access.ts";
import type { Directory } from "./directory.ts";
import type { FetchSettings } from "./issuers.ts";
import { createOidc } from "./oidc.ts";
import { createPrincipals, type Proven } from "./principals.ts";
import { proofOf } from "./proof.ts";
import { createCount } from "./rate-limit.ts";

/** Who comes in. */
export interface Gate {
  /**
   * Tells who calls, if it may call an endpoint of this role. `introduce` is told the principal as soon as it is proven,
   * whatever it may do, and the request is counted then; without it, asking again while a request waits, it is not.
   * @throws Problem unauthenticated, forbidden, rate_limited, issuer_unavailable, database_unavailable
   */
  admit(
    req: IncomingMessage,
    role: Role,
    directory: Directory,
    introduce?: (principal: string) => void,
  ): Promise<Caller>;
}

interface Settings extends FetchSettings {
  /** A clock that only goes forward, in milliseconds. */
  now(): number;
}

/** Whoever calls an endpoint that asks for nothing: no credential is looked at. */
const ANYBODY: Caller = { principal: "anonymous", role: "agent", addresses: [] };
/** With `AUTH_MODE=none`. */
const LOCAL: Caller = { principal: "local", role: "admin", addresses: [] };

const USUAL: Settings = { timeoutMs: 5_000, cooldownMs: 30_000, failureMs: 1_000, now: () => performance.now() };

/** Lets in who proves to be somebody: `docs/authentication.md` has the rules. Reaches out for nothing yet. */
export function createGate(config: Config, settings: Partial<Settings> = {}): Gate {
  const identify = config.AUTH_MODE === "none" ? localCaller : identifier(config, { ...USUAL, ...settings });
  const count = createCount(config.AUTH_MODE === "none" ? 0 : config.RATE_LIMIT_PER_MINUTE);
  return {
    async admit(req, role, directory, introduce) {
      // Not counted: together all who watch whether the service lives could use up what one may do.
      if (role === "public") return ANYBODY;
      const caller = await identify(req, role, directory, async (principal, isSystem) => {
        introduce?.(principal);
        if (introduce && !isSystem) await count(principal);
      });
      if (!permits(role, caller)) throw forbidden(`This takes the role ${role}${asAgent(caller)}.`);
      return caller;
    },
  };
}

async function localCaller(req: IncomingMessage, role: Role, _: Directory, proven: Proven): Promise<Caller> {
  if (!isFromHere(req))
    throw forbidden("Without authentication no page of another origin is served: call it by its loopback name.");
  await proven(LOCAL.principal, false);
  return role === "system" ? { ...SYSTEM, principal: LOCAL.principal } : LOCAL;
}

/** A name of this machine, with or without a port. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/**
 * Whether no page of another origin asks; that no other machine does is the loopback address's doing. A page that a
 * browser shows here may send requests to any port of this machine: it says where it is from, or, when a name of its own
 * leads here, names that.
 */
function isFromHere({ headers: { host = "localhost", origin } }: IncomingMessage): boolean {
  return LOOPBACK.test(host) && (origin === undefined || LOOPBACK.test(origin.replace(/^https?:\/\//, "")));
}

function identifier(config: Config, settings: Settings) {
  const oidc = createOidc(config, settings);
  const principals = createPrincipals(config, settings.now);
  return async (req: IncomingMessage, _role: Role, directory: Directory, proven: Proven): Promise<Caller> => {
    const proof = proofOf(req, config);
    if ("key" in proof) return principals.byKey(proof.key, directory, proven);
    return principals.byId("token" in proof ? await oidc(proof.token) : proof.account, directory, proven);
  };
}

/** An administrator whose key is limited would look for the fault elsewhere. */
function asAgent({ limitedTo }: Caller): string {
  return limitedTo ? ": a key limited to addresses is an agent's" : "";
}
