import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { forbidden } from "../errors.ts";
import { type Caller, permits, type Role, SYSTEM } from "../rules/access.ts";
import type { Directory } from "./directory.ts";

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

/** Whoever calls an endpoint that asks for nothing: no credential is looked at. */
const ANYBODY: Caller = { principal: "anonymous", role: "agent", addresses: [] };
/** With `AUTH_MODE=none`. */
const LOCAL: Caller = { principal: "local", role: "admin", addresses: [] };

export function createGate(_config: Config): Gate {
  return {
    async admit(_req, role, _directory) {
      if (role === "public") return ANYBODY;
      const caller = role === "system" ? { ...SYSTEM, principal: LOCAL.principal } : LOCAL;
      if (!permits(role, caller)) throw forbidden(`This takes the role ${role}.`);
      return caller;
    },
    async count() {},
  };
}
