import type { Config } from "../config.ts";
import { forbidden, unauthenticated } from "../errors.ts";
import type { Caller } from "../rules/access.ts";
import { isSecretOf, parseApiKey } from "./api-keys.ts";
import type { Directory, Registered, StoredKey } from "./directory.ts";
import { idsOf } from "./identity.ts";
import { createLookups } from "./lookups.ts";

/** Says what somebody who has proven who it is may do. */
export interface Principals {
  /** @throws Problem unauthenticated, forbidden, database_unavailable; what `proven` throws */
  byId(id: string, directory: Directory, proven: Proven): Promise<Caller>;
  /** @throws Problem unauthenticated, database_unavailable; what `proven` throws */
  byKey(text: string, directory: Directory, proven: Proven): Promise<Caller>;
}

/** Called when it is certain who calls, before it is known what it may do. */
export type Proven = (principal: string, isSystem: boolean) => Promise<void>;

/** What the table may say: `system` is never among it. */
const ROLES: readonly string[] = ["agent", "operator", "admin"];
/** One for all faults: which of them it is helps nobody but who guesses. */
const BAD_KEY = "The API key is not valid.";

export function createPrincipals(config: Config, now: () => number): Principals {
  const systems = idsOf(config.AUTH_SYSTEM_ACCOUNTS);
  const admins = idsOf(config.CAMS_ADMINS);
  const lookUp = createLookups<Registered | undefined>(now);
  const lookUpKey = createLookups<StoredKey | undefined>(now);

  return {
    async byId(id, directory, proven) {
      if (id === config.AUTH_GATEWAY_ACCOUNT) throw unauthenticated("The gateway passes on its callers' credentials.");
      await proven(id, systems.has(id));
      if (systems.has(id)) return { principal: id, role: "system", addresses: [] };
      if (admins.has(id)) return { principal: id, role: "admin", addresses: [] };
      const { value } = await lookUp(id, (id) => directory.principal(id));
      if (!value || !ROLES.includes(value.role)) throw forbidden(`${id} is not registered.`);
      return callerOf(value);
    },
    async byKey(text, directory, proven) {
      const parsed = parseApiKey(text);
      if (!parsed) throw unauthenticated(BAD_KEY);
      const { value, begun } = await lookUpKey(parsed.keyId, (keyId) => directory.key(keyId));
      if (!isSecretOf(value?.hash, parsed.secret) || !value) throw unauthenticated(BAD_KEY);
      const ended = value.endsInMs !== undefined && now() >= begun + value.endsInMs;
      if (ended || !ROLES.includes(value.role)) throw unauthenticated(BAD_KEY);
      await proven(value.principal, false);
      return value.limitedTo ? limited(value, value.limitedTo) : callerOf(value);
    },
  };
}

function callerOf({ principal, role, team, addresses }: Registered): Caller {
  return { principal, role, team, addresses };
}

/** A key limited to addresses is an agent's, whoever has it: it speaks for those that its principal speaks for. */
function limited(key: StoredKey, limitedTo: readonly string[]): Caller {
  const addresses = key.role === "admin" ? ["*"] : key.addresses;
  return { ...callerOf(key), role: "agent", addresses, limitedTo };
}
