import { decodeJwt } from "jose/jwt/decode";
import { GOOGLE_SPELLINGS, subjectOf } from "../../shared/auth/identity.ts";
import { type Exchanged, exchange } from "../exchange.ts";

/** How long a check waits for an answer: a new instance with its first connection may take a minute. */
const TIMEOUT_MS = 90_000;

/** Who calls. Both together only behind Cloud Run's IAM: there the token lets in, and the key says who it is. */
export interface Credentials {
  key?: string | undefined;
  token?: string | undefined;
}

interface Request {
  body?: unknown;
  /** Names and values in turn, after those of the credentials. */
  headers?: string[];
  /** In the place of the credentials. */
  as?: string[];
  timeoutMs?: number;
}

/** Calls an installation as its callers do. */
export interface Client {
  url: string;
  /** The credentials as headers, names and values in turn; empty: there are none. */
  credentials: string[];
  token: string | undefined;
  call(method: string, path: string, request?: Request): Promise<Exchanged>;
}

export function createClient(url: string, { key, token }: Credentials): Client {
  const credentials = [...(token ? ["Authorization", `Bearer ${token}`] : []), ...(key ? ["X-Cams-Key", key] : [])];
  return {
    url,
    credentials,
    token,
    call: (method, path, { body, headers = [], as = credentials, timeoutMs = TIMEOUT_MS } = {}) =>
      exchange({
        method,
        url: url + path,
        headers: [...as, ...headers],
        body: body === undefined ? undefined : JSON.stringify(body),
        timeoutMs,
      }),
  };
}

/** The id that a token's caller has at CAMS (docs/authentication.md). */
export function principalOf(token: string): string {
  const { iss = "", sub, email } = decodeJwt<{ email?: string }>(token);
  return GOOGLE_SPELLINGS.includes(iss) && email ? email.toLowerCase() : subjectOf(iss, sub);
}
