import type { JWTVerifyGetKey } from "jose";
import { isSafe } from "../config.ts";
import { Problem } from "../errors.ts";
import { GOOGLE, GOOGLE_SPELLINGS } from "./identity.ts";

/** An issuer whose tokens are taken. */
export interface Issuer {
  issuer: string;
  /** How its tokens may write it. */
  spellings: readonly string[];
  /** Its keys, fetched when the first token comes. */
  keys: JWTVerifyGetKey;
}

export interface FetchSettings {
  /** How long an issuer may take to answer. */
  timeoutMs: number;
  /** Keys are asked for anew at most this often because of tokens with an unknown key: anybody can make those. */
  cooldownMs: number;
  /** An issuer that failed is left alone so long: anybody can make tokens that name it. */
  failureMs: number;
}

/** Faults of a token, not of its issuer. */
const TOKEN_FAULTS = ["ERR_JWKS_NO_MATCHING_KEY", "ERR_JWKS_MULTIPLE_MATCHING_KEYS"];
const RETRY_AFTER_SECONDS = 5;

/** The issuers as configured, by what a token says in `iss`. */
export function createIssuers(entries: readonly string[], settings: FetchSettings): ReadonlyMap<unknown, Issuer> {
  const issuers = new Map<unknown, Issuer>();
  for (const entry of entries) {
    const [issuer = "", keysUrl] = entry.split("=");
    const spellings = issuer === GOOGLE ? GOOGLE_SPELLINGS : [issuer];
    const known = { issuer, spellings, keys: keysOf(issuer, keysUrl, settings) };
    for (const spelling of spellings) issuers.set(spelling, known);
  }
  return issuers;
}

function keysOf(issuer: string, keysUrl: string | undefined, settings: FetchSettings): JWTVerifyGetKey {
  let opened: Promise<JWTVerifyGetKey> | undefined;
  let failure: { error: unknown; until: number } | undefined;

  async function open(): Promise<JWTVerifyGetKey> {
    const { createRemoteJWKSet } = await import("jose/jwks/remote");
    const url = new URL(keysUrl ?? (await discover(issuer, settings.timeoutMs)));
    return createRemoteJWKSet(url, { timeoutDuration: settings.timeoutMs, cooldownDuration: settings.cooldownMs });
  }

  return async (header, token) => {
    try {
      if (failure && performance.now() < failure.until) throw failure.error;
      opened ??= open().catch((error) => {
        opened = undefined;
        throw error;
      });
      const keys = await opened;
      return await keys(header, token);
    } catch (error) {
      if (TOKEN_FAULTS.includes((error as { code?: string }).code ?? "")) throw error;
      if (error !== failure?.error) failure = { error, until: performance.now() + settings.failureMs };
      throw new Problem("issuer_unavailable", "The keys of the token's issuer cannot be fetched now.", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
        cause: error,
      });
    }
  };
}

/** Where an issuer has its keys (OpenID Connect Discovery 1.0, 4). */
async function discover(issuer: string, timeoutMs: number): Promise<string> {
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200)
    throw new Error(`the discovery document of ${issuer} was answered with ${response.status}`);
  const { issuer: named, jwks_uri: keysUrl } = (await response.json()) as Record<string, unknown>;
  if (named !== issuer) throw new Error(`the discovery document of ${issuer} is another issuer's`);
  if (typeof keysUrl !== "string" || !isSafe(keysUrl)) throw new Error(`${issuer} has its keys at no https URL`);
  return keysUrl;
}
