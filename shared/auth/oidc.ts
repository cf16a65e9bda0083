import { hash } from "node:crypto";
import { decodeJwt } from "jose/jwt/decode";
import { LRUCache } from "lru-cache";
import type { Config } from "../config.ts";
import { Problem, unauthenticated } from "../errors.ts";
import { accountOf, GOOGLE, subjectOf } from "./identity.ts";
import { createIssuers, type FetchSettings, type Issuer } from "./issuers.ts";

/** Signatures that only the issuer can make: none by a shared secret, and never none. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const TOLERANCE_SECONDS = 5;
/** How long a token is taken again without a look at its signature. */
const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 10_000;

/** What is wrong with a token, by the error's code. */
const FAULTS: Record<string, string> = {
  ERR_JWT_EXPIRED: "The token has expired.",
  ERR_JOSE_ALG_NOT_ALLOWED: "The token is signed by an algorithm that is not accepted.",
  ERR_JWKS_NO_MATCHING_KEY: "The token is signed with a key that its issuer does not publish.",
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: "The token does not say which of its issuer's keys signed it.",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "The token's signature is wrong.",
};
/** The same by the claim. */
const CLAIM_FAULTS: Record<string, string> = {
  aud: "The token is for another audience.",
  nbf: "The token is not valid yet.",
  exp: "The token does not say when it expires.",
  sub: "The token does not say whom it is for.",
};

/** Tells whom a token is of. */
export type Identify = (token: string) => Promise<string>;

/**
 * Verifies tokens of the configured issuers.
 * @throws Problem unauthenticated, issuer_unavailable
 */
export function createOidc(config: Config, settings: FetchSettings): Identify {
  const issuers = createIssuers(config.AUTH_ISSUERS, settings);
  let loading: Promise<typeof import("jose/jwt/verify")> | undefined;
  const remembered = new LRUCache<string, { id: string; until: number }>({ max: MAX_REMEMBERED });

  async function verify(token: string): Promise<{ id: string; exp: number }> {
    // Unverified: it only chooses whose keys are to verify it.
    const issuer = issuers.get(issuerNamedBy(token));
    if (!issuer) throw unauthenticated("The token is from an issuer that is not known here.");
    // Loaded with the first token: 12 to 20 ms, which a process that sees only keys or platform tokens never pays.
    loading ??= import("jose/jwt/verify");
    const { jwtVerify } = await loading;
    const { payload } = await jwtVerify(token, issuer.keys, {
      algorithms: ALGORITHMS,
      issuer: [...issuer.spellings],
      audience: config.AUTH_AUDIENCES,
      requiredClaims: ["exp", "sub"],
      clockTolerance: TOLERANCE_SECONDS,
    });
    return { id: idOf(issuer, payload), exp: payload.exp ?? 0 };
  }

  return async (token) => {
    const key = hash("sha256", token, "base64");
    const known = remembered.get(key);
    if (known && Date.now() < known.until) return known.id;
    try {
      const { id, exp } = await verify(token);
      remembered.set(key, { id, until: Math.min(exp * 1000, Date.now() + REMEMBERED_MS) });
      return id;
    } catch (error) {
      throw error instanceof Problem ? error : unauthenticated(faultOf(error));
    }
  };
}

function idOf({ issuer }: Issuer, claims: Record<string, unknown>): string {
  return issuer === GOOGLE ? accountOf(claims) : subjectOf(issuer, claims.sub);
}

function issuerNamedBy(token: string): unknown {
  try {
    return decodeJwt(token).iss;
  } catch {
    throw unauthenticated(
      `The token cannot be read${token.startsWith("cams_") ? ": an API key goes into X-Cams-Key" : ""}.`,
    );
  }
}

function faultOf(error: unknown): string {
  const { code = "", claim = "" } = error as { code?: string; claim?: string };
  return FAULTS[code] ?? CLAIM_FAULTS[claim] ?? "The token is not valid.";
}
