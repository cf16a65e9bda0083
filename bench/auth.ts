import { hash, randomUUID, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { makeApiKey } from "../shared/auth/api-keys.ts";
import type { Directory } from "../shared/auth/directory.ts";
import { createGate } from "../shared/auth/gate.ts";
import { readConfig } from "../shared/config.ts";
import type { Bench, Context } from "./support/bench.ts";
import { type Contender, measure, type Turn } from "./support/turns.ts";

const AUDIENCE = "https://cams.example";
const ALGORITHM = "RS256";
/** What a gate answers at once is measured so often in a turn. */
const QUICK_ADMITS = 20_000;
/** New tokens of a turn: with fewer, what is measured is how the code warms up. */
const NEW_TOKENS = { quick: 100, usual: 1_500 };
/** What comes with any request beside the credential. */
const USUAL_HEADERS = Object.entries({
  Host: "cams.example",
  "User-Agent": "bench",
  Accept: "application/json",
  "Content-Type": "application/json",
  "Content-Length": "512",
  "X-Forwarded-For": "203.0.113.7",
  "X-Request-Id": "0198c0de-0000-7000-8000-000000000000",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}).flat();

/** What it costs to know who calls: nothing is asked of the database within the second that a look-up holds. */
export const auth: Bench = {
  name: "auth",
  summary: "who calls, from a request's headers: one after the other, keys of the issuer and principals cached",
  async run(context) {
    const { key, hash: stored } = makeApiKey(randomUUID());
    const issuer = await startIssuer(context);
    const registered = { principal: "principal", role: "agent", addresses: ["agent/*"] } as const;
    const directory: Directory = {
      principal: async () => registered,
      key: async () => ({ ...registered, hash: stored }),
    };
    const gate = createGate(
      configuration({ AUTH_ISSUERS: `${issuer.url}=${issuer.url}/certs`, AUTH_AUDIENCES: AUDIENCE }),
    );
    const platform = createGate(configuration({ PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: AUDIENCE }));
    const admitted = (by: typeof gate, name: string, value: string) => () =>
      by.admit(requestWith(name, value), "agent", directory);
    const bearer = async () => `Bearer ${await issuer.mint()}`;

    const newTokens = context.quick ? NEW_TOKENS.quick : NEW_TOKENS.usual;
    const secret = key.slice(-43);
    const compared = repeated("SHA-256 and comparison", QUICK_ADMITS, async () =>
      timingSafeEqual(hash("sha256", secret, "buffer"), stored),
    );
    const verified = inTurnsOf("jose verify, key at hand", newTokens, issuer.mint, (token) =>
      jwtVerify(token, issuer.publicKey, { audience: AUDIENCE }),
    );
    const row = (what: string, measured: Contender, yardsticks: Contender[]) => ({
      what,
      unit: "µs",
      measured,
      yardsticks,
    });
    const cases = [
      row("API key", repeated("API key", QUICK_ADMITS, admitted(gate, "X-Cams-Key", key)), [compared]),
      row(
        "OIDC token seen before",
        repeated("seen before", QUICK_ADMITS, admitted(gate, "Authorization", await bearer())),
        [compared, verified],
      ),
      row(
        "OIDC token never seen",
        inTurnsOf("never seen", newTokens, bearer, (token) => admitted(gate, "Authorization", token)()),
        [verified],
      ),
      row(
        "platform token",
        repeated("platform", QUICK_ADMITS, admitted(platform, "Authorization", `Bearer ${await issuer.stripped()}`)),
        [compared, verified],
      ),
    ];
    return measure(cases, context.rounds, context.progress);
  },
};

function configuration(env: Record<string, string>) {
  return readConfig({ DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none", ...env });
}

function requestWith(name: string, value: string): IncomingMessage {
  return { rawHeaders: [...USUAL_HEADERS, name, value] } as IncomingMessage;
}

/** The same again and again: microseconds of one. */
function repeated(name: string, times: number, work: () => Promise<unknown>): Contender {
  return {
    name,
    async turn() {
      return timed(times, async () => {
        for (let n = 0; n < times; n++) await work();
      });
    },
  };
}

/** Each time with something new, made before the turn: microseconds of one. */
function inTurnsOf(
  name: string,
  times: number,
  make: () => Promise<string>,
  work: (made: string) => Promise<unknown>,
): Contender {
  return {
    name,
    async turn() {
      const made: string[] = [];
      for (let n = 0; n < times; n++) made.push(await make());
      return timed(times, async () => {
        for (const one of made) await work(one);
      });
    },
  };
}

/** Microseconds of one; signatures are verified by another thread, so processor time says more than the clock when others run. */
async function timed(times: number, work: () => Promise<void>): Promise<Turn> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const value = ((performance.now() - start) * 1000) / times;
  const { user, system } = process.cpuUsage(cpu);
  return { value, extra: { "CPU µs": (user + system) / times } };
}

/** An issuer with one key, and tokens of it; each is another. */
async function startIssuer(context: Context) {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "key", alg: ALGORITHM }] });
  const server = createServer((_, res) => res.writeHead(200, { "Content-Type": "application/json" }).end(keys));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mint = (issuer = url) =>
    new SignJWT({ sub: "agent", jti: randomUUID(), email: "agent@cams.example", email_verified: true })
      .setProtectedHeader({ alg: ALGORITHM, kid: "key", typ: "JWT" })
      .setIssuer(issuer)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(privateKey);
  return {
    url,
    publicKey,
    mint: () => mint(),
    /** As Cloud Run hands on what it has checked. */
    stripped: async () => (await mint("https://accounts.google.com")).replace(/[^.]*$/, "SIGNATURE_REMOVED_BY_GOOGLE"),
  };
}
