import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { AUDIENCE, type FakeIssuer, startIssuer } from "../../support/issuer.ts";
import { type Outcome, refusal, startDoor } from "./door.ts";

const DISCOVERY = "/.well-known/openid-configuration";

async function setUp(settings = {}, issuersOf = (issuer: FakeIssuer) => issuer.url) {
  const issuer = await startIssuer();
  const door = await startDoor({ AUTH_ISSUERS: issuersOf(issuer), AUTH_AUDIENCES: AUDIENCE }, settings);
  door.register(`${issuer.url.replace("http://", "")}|somebody`);
  let count = 0;
  const present = (token: string) => door.call({ authorization: `Bearer ${token}` });
  const call = async (minting = {}) => present(await issuer.mint({ jti: count++ }, minting));
  return { issuer, call, present };
}

function unavailable({ status, body, headers }: Outcome): void {
  expect({ status, code: body.code }).toEqual({ status: 503, code: "issuer_unavailable" });
  expect(Number(headers["retry-after"])).toBeGreaterThan(0);
}

const answering =
  (body: unknown, status = 200) =>
  (res: ServerResponse) =>
    res
      .writeHead(status, { "Content-Type": "application/json" })
      .end(typeof body === "string" ? body : JSON.stringify(body));

test("an issuer is asked for nothing before its first token, then once", async () => {
  const { issuer, call } = await setUp();
  expect(issuer.requests).toEqual([]);
  const outcomes = await Promise.all([call(), call(), call()]);
  expect(outcomes.map(({ status }) => status)).toEqual([200, 200, 200]);
  await call();
  expect(issuer.requests).toEqual([DISCOVERY, "/certs"]);
});

test.each(["/certs", DISCOVERY])(
  "an issuer that failed at %s is left alone for a while, whoever names it",
  async (path) => {
    const { issuer, call, present } = await setUp({ failureMs: 300 });
    issuer.answer(path, answering("", 500));
    const forger = await startIssuer();
    for (let n = 0; n < 20; n++) unavailable(await present(await forger.mint({ iss: issuer.url, jti: n })));
    expect(issuer.requests.length).toBeLessThanOrEqual(2);
    issuer.answer(path, undefined);
    unavailable(await call());
    await delay(320);
    expect((await call()).status).toBe(200);
  },
);

test("an issuer whose keys are named is not asked where they are", async () => {
  const { issuer, call } = await setUp({}, ({ url, keysUrl }) => `${url}=${keysUrl}`);
  expect((await call()).status).toBe(200);
  expect(issuer.requests).toEqual(["/certs"]);
});

test("a new key is fetched when its first token comes, and the old one counts no more", async () => {
  const { issuer, call, present } = await setUp();
  await call();
  const old = await issuer.mint();
  await issuer.rotate();
  expect((await call()).status).toBe(200);
  expect(refusal(await present(old))).toMatch(/does not publish/);
});

test("tokens with made-up keys make nobody ask the issuer all the time", async () => {
  const { issuer, call } = await setUp({ cooldownMs: 30_000 });
  await call();
  for (let n = 0; n < 5; n++) expect(refusal(await call({ kid: `made-up-${n}` }))).toMatch(/does not publish/);
  expect(issuer.requests).toEqual([DISCOVERY, "/certs"]);
});

test("an issuer that is down is 503, and asked again", async () => {
  const { issuer, call } = await setUp();
  await issuer.down();
  unavailable(await call());
  await issuer.up();
  expect((await call()).status).toBe(200);
});

test("an issuer that goes down is missed only when its keys must be fetched", async () => {
  const { issuer, call } = await setUp();
  await call();
  await issuer.down();
  expect((await call()).status).toBe(200);
  await issuer.rotate();
  unavailable(await call());
  await issuer.up();
  expect((await call()).status).toBe(200);
});

test.each([
  ["never answers", () => {}],
  ["answers 500", answering({}, 500)],
  ["answers 302", (res: ServerResponse) => res.writeHead(302, { Location: "/elsewhere" }).end()],
  ["answers no JSON", answering("<html>")],
  ["breaks off", (res: ServerResponse) => res.destroy()],
  ["answers null", answering("null")],
])("an issuer whose document or keys %s is 503, until it does as it should", async (_, act) => {
  for (const path of [DISCOVERY, "/certs"]) {
    const { issuer, call } = await setUp({ timeoutMs: 200 });
    issuer.answer(path, act);
    unavailable(await call());
    issuer.answer(path, undefined);
    expect((await call()).status, path).toBe(200);
    expect(issuer.requests).not.toContain("/elsewhere");
  }
});

test.each([
  ["is another issuer's", (issuer: FakeIssuer) => ({ issuer: "https://evil.example", jwks_uri: issuer.keysUrl })],
  ["names no keys", (issuer: FakeIssuer) => ({ issuer: issuer.url })],
  ["has its keys in a file", (issuer: FakeIssuer) => ({ issuer: issuer.url, jwks_uri: "file:///etc/keys" })],
  [
    "has its keys at an open URL",
    (issuer: FakeIssuer) => ({ issuer: issuer.url, jwks_uri: issuer.keysUrl.replace("127.0.0.1", "0.0.0.0") }),
  ],
  ["has keys at no URL", (issuer: FakeIssuer) => ({ issuer: issuer.url, jwks_uri: "keys" })],
])("a discovery document that %s is 503, and its keys are not fetched", async (_, documentOf) => {
  const { issuer, call } = await setUp();
  issuer.answer(DISCOVERY, answering(documentOf(issuer)));
  unavailable(await call());
  expect(issuer.requests).toEqual([DISCOVERY]);
});
