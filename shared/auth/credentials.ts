import type { IncomingMessage } from "node:http";
import { unauthenticated } from "../errors.ts";

/** What a request carries to say who calls. Undefined: there is no such header. */
export interface Credentials {
  /** The token of `Authorization`. */
  authorization: string | undefined;
  /** The token of `X-Serverless-Authorization`, which Cloud Run prefers to the other. */
  serverless: string | undefined;
  /** `X-Cams-Key`. */
  key: string | undefined;
  /** The token of `X-Forwarded-Authorization`. Asked for behind the gateway alone: from anybody else it means nothing. */
  forwarded(): string | undefined;
}

/**
 * Reads the credentials of a request.
 * @throws Problem unauthenticated when one is given twice, or is no Bearer token
 */
export function credentialsOf({ rawHeaders }: IncomingMessage): Credentials {
  return {
    authorization: tokenOf(rawHeaders, "Authorization"),
    serverless: tokenOf(rawHeaders, "X-Serverless-Authorization"),
    key: headerOf(rawHeaders, "X-Cams-Key"),
    forwarded: () => tokenOf(rawHeaders, "X-Forwarded-Authorization"),
  };
}

/** Headers as they came: of two `Authorization` Node keeps the first and drops the other, which a proxy may have checked. */
function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  let value: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length !== wanted.length || rawHeaders[at]?.toLowerCase() !== wanted) continue;
    if (value !== undefined) throw unauthenticated(`${name} is given more than once.`);
    value = rawHeaders[at + 1];
  }
  return value;
}

/** RFC 6750, 2.1; schemes have no case (RFC 9110, 11.1). */
function tokenOf(rawHeaders: readonly string[], name: string): string | undefined {
  const value = headerOf(rawHeaders, name);
  if (value === undefined) return undefined;
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(value)?.[1];
  if (token === undefined) throw unauthenticated(`${name} must be "Bearer" and a token.`);
  return token;
}
