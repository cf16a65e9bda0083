import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { keyOf, makeSecret } from "./signature.ts";

const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Opened secrets that are remembered: to open one takes longer than to sign with it. */
const REMEMBERED = 1000;

/** Keeps the secrets of webhooks unreadable at rest. What is sealed for one address cannot be opened for another. */
export interface Vault {
  /** Whether it can keep anything at all. */
  readonly hasKey: boolean;
  /** A new signing secret, as its owner gets it and as it is stored. */
  make(address: string): { secret: string; sealed: Buffer };
  /**
   * The key that signs.
   * @throws when none of the vault's keys opens it
   */
  open(sealed: Buffer, address: string): KeyObject;
  /**
   * The same secret sealed with the first key, if it was sealed with another.
   * @throws when none of the vault's keys opens it
   */
  reseal(sealed: Buffer, address: string): Buffer | undefined;
}

/**
 * A vault with keys of 32 bytes in base64, separated by commas: the first seals, all of them open, so that a key can be
 * replaced. A sealed secret is a random 12 bytes, the authentication tag, and the ciphertext (AES-256-GCM).
 */
export function createVault(keys: string | undefined): Vault {
  const given = (keys ?? "").split(",").filter(Boolean);
  // As objects: with bytes, half of the time goes into making such of them, each time anew.
  const known = given.map((key) => createSecretKey(key, "base64"));
  const opened = new Map<string, KeyObject>();

  function seal(secret: string, address: string): Buffer {
    const [key] = known;
    if (!key) throw new Error("SECRETS_KEY must be set to keep the secrets of webhooks");
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv).setAAD(Buffer.from(address));
    const ciphertext = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]);
  }

  function unseal(sealed: Buffer, address: string, keys: readonly KeyObject[] = known): string {
    for (const key of keys) {
      try {
        const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
          .setAAD(Buffer.from(address))
          .setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
      } catch {
        // Sealed with another of the keys, perhaps.
      }
    }
    throw new Error(`no key of SECRETS_KEY opens the secret of ${address}`);
  }

  return {
    hasKey: known.length > 0,

    make(address) {
      const secret = makeSecret();
      return { secret, sealed: seal(secret, address) };
    },

    open(sealed, address) {
      const name = `${address} ${sealed.toString("latin1")}`;
      const found = opened.get(name);
      if (found) return found;
      const key = keyOf(unseal(sealed, address));
      if (opened.size >= REMEMBERED) opened.clear();
      opened.set(name, key);
      return key;
    },

    reseal(sealed, address) {
      try {
        unseal(sealed, address, known.slice(0, 1));
        return undefined;
      } catch {
        return seal(unseal(sealed, address), address);
      }
    },
  };
}
