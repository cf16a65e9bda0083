import { decodeJwt } from "jose/jwt/decode";
import { unauthenticated } from "../errors.ts";
import { accountOf, GOOGLE_SPELLINGS } from "./identity.ts";

/** What Cloud Run puts in the place of the signature that it has checked. */
const REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE";
/** How far ahead of ours the issuer's clock may be. */
const TOLERANCE_SECONDS = 60;

/**
 * Reads who it is that Cloud Run let in, from the token that it hands on.
 * @throws Problem unauthenticated
 */
export function platformAccountOf(token: string | undefined, audiences: readonly string[]): string {
  if (token === undefined)
    throw unauthenticated("Send a credential that Cloud Run checks: Authorization: Bearer <token>.");
  const parts = token.split(".");
  if (parts.length !== 3 || parts[2] !== REMOVED) throw unauthenticated("The token was not checked by Cloud Run.");
  const claims = claimsOf(token);
  const now = Date.now() / 1000;
  if (!GOOGLE_SPELLINGS.includes(claims.iss as string)) throw unauthenticated("The token is not from Google.");
  if (!isTime(claims.exp) || claims.exp <= now) throw unauthenticated("The token has expired.");
  for (const begin of [claims.nbf, claims.iat])
    if (begin !== undefined && (!isTime(begin) || begin > now + TOLERANCE_SECONDS))
      throw unauthenticated("The token is not valid yet.");
  if (![claims.aud].flat().some((audience) => audiences.includes(audience as string)))
    throw unauthenticated("The token is for another audience.");
  return accountOf(claims);
}

function claimsOf(token: string): Record<string, unknown> {
  try {
    return decodeJwt(token);
  } catch {
    throw unauthenticated("The token cannot be read.");
  }
}

function isTime(value: unknown): value is number {
  return typeof value === "number";
}
