import type { CallerRole } from "../rules/access.ts";

/** A principal as it is registered. */
export interface Registered {
  principal: string;
  role: Exclude<CallerRole, "system">;
  team?: string | undefined;
  addresses: readonly string[];
}

/** An API key as it is stored, with its principal. */
export interface StoredKey extends Registered {
  /** SHA-256 of the secret. */
  hash: Buffer;
  /** The addresses it is limited to. */
  limitedTo?: readonly string[] | undefined;
  /** Milliseconds until its end, by the database's clock; below 0 it has ended. */
  endsInMs?: number | undefined;
}

/** Where principals and keys are looked up: the repository. */
export interface Directory {
  principal(id: string): Promise<Registered | undefined>;
  key(keyId: string): Promise<StoredKey | undefined>;
}
