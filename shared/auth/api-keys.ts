import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** A UUID, and 32 bytes in base64url. */
const KEY = /^cams_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})_([\w-]{43})$/;
const SECRET_BYTES = 32;
/** Stands in for the hash of a key that is not there: refusing it takes as long. */
const NOBODYS = randomBytes(32);

/** A new key, as its owner gets it and as it is stored. */
export function makeApiKey(keyId: string): { key: string; hash: Buffer } {
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { key: `cams_${keyId}_${secret}`, hash: hashOfSecret(secret) };
}

/** What is stored of a secret. It is random and long: no salt, and nothing slow, is needed to keep it from being guessed. */
export function hashOfSecret(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}

/** Takes a key apart; undefined when it is none. */
export function parseApiKey(text: string): { keyId: string; secret: string } | undefined {
  const [, keyId, secret] = KEY.exec(text) ?? [];
  return keyId && secret ? { keyId, secret } : undefined;
}

/** Whether a secret is the one of this hash, in a time that tells nothing of where they differ, or whether there is one. */
export function isSecretOf(stored: Buffer | undefined, secret: string): boolean {
  return timingSafeEqual(hashOfSecret(secret), stored ?? NOBODYS) && stored !== undefined;
}
