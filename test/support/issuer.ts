import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as jose from "jose";
import { onTestFinished } from "vitest";

export const AUDIENCE = "https://cams.example";

interface Minting {
  /** The header's `kid`; the present key's unless told otherwise. */
  kid?: string | undefined;
  /** Signs with this instead of the present key. */
  key?: jose.CryptoKey;
}

/** An OpenID Connect issuer on a port of its own: discovery document, keys, tokens. */
export interface FakeIssuer {
  /** As tokens and `AUTH_ISSUERS` name it. */
  url: string;
  /** Where its keys are, for `issuer=URL`. */
  keysUrl: string;
  /** Paths asked for, in order. */
  requests: string[];
  /** The present public key. */
  publicKey(): jose.CryptoKey;
  /** A token of this issuer for this audience that ends in an hour; undefined leaves a claim out. */
  mint(claims?: Record<string, unknown>, minting?: Minting): Promise<string>;
  /** From now on it signs with another key, and publishes that alone. */
  rotate(algorithm?: string): Promise<void>;
  /** Answers requests whose path contains this otherwise; undefined: as it should again. */
  answer(path: string, act: ((res: ServerResponse) => void) | undefined): void;
  /** Listens no more; `up` listens at the same port again. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Makes a key pair to sign with. */
export async function keyPair(algorithm = "ES256"): Promise<jose.GenerateKeyPairResult> {
  return jose.generateKeyPair(algorithm, { extractable: true });
}

/** Starts an issuer, until the test ends, or what else tells it to. */
export async function startIssuer(atEnd: (down: () => Promise<void>) => void = onTestFinished): Promise<FakeIssuer> {
  const requests: string[] = [];
  const others = new Map<string, (res: ServerResponse) => void>();
  let alg = "ES256";
  let kid = 1;
  let pair = await keyPair(alg);

  const server = createServer(async (req, res) => {
    const path = req.url ?? "";
    requests.push(path);
    const other = [...others].find(([part]) => path.includes(part))?.[1];
    if (other) return other(res);
    if (path === "/.well-known/openid-configuration")
      return json(res, { issuer: issuer.url, jwks_uri: issuer.keysUrl });
    if (path !== "/certs") return res.writeHead(404).end();
    json(res, { keys: [{ ...(await jose.exportJWK(pair.publicKey)), kid: `key-${kid}`, alg, use: "sig" }] });
  });

  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const down = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  const port = await listen(0);
  atEnd(down);

  const issuer: FakeIssuer = {
    url: `http://127.0.0.1:${port}`,
    keysUrl: `http://127.0.0.1:${port}/certs`,
    requests,
    publicKey: () => pair.publicKey,
    mint(claims = {}, minting = {}) {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: issuer.url, aud: AUDIENCE, sub: "somebody", iat: now, exp: now + 3600, ...claims };
      const header = { alg, kid: "kid" in minting ? minting.kid : `key-${kid}` } as jose.JWTHeaderParameters;
      return new jose.SignJWT(all).setProtectedHeader(header).sign(minting.key ?? pair.privateKey);
    },
    async rotate(algorithm = "ES256") {
      pair = await keyPair(algorithm);
      alg = algorithm;
      kid++;
    },
    answer: (path, act) => void (act ? others.set(path, act) : others.delete(path)),
    down,
    up: async () => void (await listen(port)),
  };
  return issuer;
}

/** A token as Cloud Run hands it on: Google's, without its signature. */
export function stripped(claims: Record<string, unknown> = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: "https://accounts.google.com",
    aud: "https://cams-abc.a.run.app",
    sub: "1234567890",
    email: "invoker@project.example",
    email_verified: true,
    iat: now,
    exp: now + 3600,
    ...claims,
  };
  return `${part({ alg: "RS256", kid: "google", typ: "JWT" })}.${part(all)}.SIGNATURE_REMOVED_BY_GOOGLE`;
}

/** A part of a token. */
export function part(content: object): string {
  return Buffer.from(JSON.stringify(content)).toString("base64url");
}

function json(res: ServerResponse, body: object): void {
  res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
