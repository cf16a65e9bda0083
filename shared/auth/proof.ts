import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { unauthenticated } from "../errors.ts";
import { type Credentials, credentialsOf } from "./credentials.ts";
import { platformAccountOf } from "./platform.ts";

/** By what it is decided who calls: an API key or a token, still to be checked, or the account that Cloud Run let in. */
export type Proof = { key: string } | { token: string } | { account: string };

/**
 * Chooses it. What is present but invalid, or one too many, is refused: nothing falls through to another credential.
 * @throws Problem unauthenticated
 */
export function proofOf(req: IncomingMessage, config: Config): Proof {
  const given = credentialsOf(req);
  return config.PLATFORM_AUTH === "iam" ? onPlatform(given, config) : offPlatform(given);
}

function offPlatform({ authorization, serverless, key }: Credentials): Proof {
  if (serverless !== undefined) throw unauthenticated("X-Serverless-Authorization is checked by nobody here.");
  return oneOf([authorization], key) ?? nothing();
}

function onPlatform(given: Credentials, config: Config): Proof {
  const { authorization, serverless, key } = given;
  const account = platformAccountOf(serverless ?? authorization, config.AUTH_PLATFORM_AUDIENCES);
  // Cloud Run checks X-Serverless-Authorization alone when it is there: then anybody can have written the other.
  const own = serverless === undefined ? undefined : authorization;
  if (account !== config.AUTH_GATEWAY_ACCOUNT) return oneOf([own], key) ?? { account };
  return oneOf([own, given.forwarded()], key) ?? nothing();
}

function oneOf(tokens: readonly (string | undefined)[], key: string | undefined): Proof | undefined {
  const [token, ...others] = tokens.filter((token) => token !== undefined);
  if (others.length > 0 || (token !== undefined && key !== undefined))
    throw unauthenticated("Send one credential: a token or an API key.");
  if (key !== undefined) return { key };
  return token === undefined ? undefined : { token };
}

function nothing(): never {
  throw unauthenticated("Send a credential: Authorization: Bearer <token>, or X-Cams-Key: <key>.");
}
