import { unauthenticated } from "../errors.ts";

export const GOOGLE = "https://accounts.google.com";
/** How Google's tokens write their issuer. */
export const GOOGLE_SPELLINGS: readonly string[] = [GOOGLE, "accounts.google.com"];

/** The longest id of a principal. */
const MAX_ID = 255;

/**
 * The id of an account that Google vouches for: its e-mail address in lower case. ASCII without `|` only: that is what
 * parts issuer and subject in other ids, and there are characters beyond ASCII whose lower case is a plain letter.
 * @throws Problem unauthenticated
 */
export function accountOf({ email, email_verified }: Record<string, unknown>): string {
  if (email_verified !== true || typeof email !== "string" || email.length > MAX_ID || !/^[!-{}~]+$/.test(email))
    throw unauthenticated("The token names no verified e-mail address.");
  return email.toLowerCase();
}

/**
 * The id of any other issuer's subject. Only both together identify (OpenID Connect Core 5.7): whatever an issuer
 * writes into its tokens, it cannot speak for another's subject or for an account.
 * @throws Problem unauthenticated
 */
export function subjectOf(issuer: string, subject: unknown): string {
  const id = `${issuer.replace(/^https?:\/\//, "")}|${subject}`;
  if (typeof subject !== "string" || subject === "" || id.length > MAX_ID || !/^[!-~]+$/.test(id))
    throw unauthenticated("The token's subject cannot be the id of a principal.");
  return id;
}

/** Ids from the configuration, as tokens have them: those of accounts have no case. */
export function idsOf(configured: readonly string[]): ReadonlySet<string> {
  return new Set(configured.map((id) => (id.includes("|") ? id : id.toLowerCase())));
}
