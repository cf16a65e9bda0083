import { createHmac } from "node:crypto";
import { exportSPKI } from "jose";
import { expect, test } from "vitest";
import { AUDIENCE, type FakeIssuer, keyPair, part, startIssuer, stripped } from "../../support/issuer.ts";
import { refusal, startDoor } from "./door.ts";

const NOW = Math.floor(Date.now() / 1000);
const bearing = (token: string) => ({ authorization: `Bearer ${token}` });

/** A door that takes tokens of a new issuer, of which "somebody" is registered. */
async function setUp(env: Record<string, string> = {}, settings = {}) {
  const issuer = await startIssuer();
  const door = await startDoor(
    { AUTH_ISSUERS: issuer.url, AUTH_AUDIENCES: `https://x.example,${AUDIENCE}`, ...env },
    settings,
  );
  const id = idOf(issuer);
  door.register(id, "operator", { team: "red" });
  const call = async (claims: Record<string, unknown> = {}, minting = {}) =>
    door.call(bearing(await issuer.mint(claims, minting)));
  return { issuer, door, id, call };
}

function idOf({ url }: FakeIssuer, subject = "somebody"): string {
  return `${url.replace("http://", "")}|${subject}`;
}

test("a token says who calls, the directory what that may do", async () => {
  const { call, id } = await setUp();
  const { status, body } = await call();
  expect(status).toBe(200);
  expect(body).toEqual({ principal: id, role: "operator", team: "red", addresses: [`${id}/*`] });
});

test.each(["RS256", "PS512", "ES256", "ES384", "EdDSA"])("a token signed by %s is taken", async (algorithm) => {
  const { issuer, call } = await setUp();
  await issuer.rotate(algorithm);
  expect((await call()).status).toBe(200);
});

test.each([
  ["an audience among others", { aud: ["https://y.example", AUDIENCE] }],
  ["an end that passed while it travelled", { exp: NOW - 1 }],
])("a token is taken with %s", async (_, claims) => {
  const { call } = await setUp();
  expect((await call(claims)).status).toBe(200);
});

test.each([
  ["has expired", { exp: NOW - 60 }, "The token has expired."],
  ["never ends", { exp: undefined }, "The token does not say when it expires."],
  ["ends at no time", { exp: "tomorrow" }, "The token does not say when it expires."],
  ["begins later", { nbf: NOW + 60 }, "The token is not valid yet."],
  ["is for others", { aud: "https://z.example" }, "The token is for another audience."],
  ["is for nobody in particular", { aud: undefined }, "The token is for another audience."],
  ["is of an unknown issuer", { iss: "https://evil.example" }, "The token is from an issuer that is not known here."],
  ["is of no issuer", { iss: undefined }, "The token is from an issuer that is not known here."],
  [
    "is of an issuer that is an object's",
    { iss: "constructor" },
    "The token is from an issuer that is not known here.",
  ],
  ["has no subject", { sub: undefined }, "The token does not say whom it is for."],
  ["has an empty subject", { sub: "" }, "The token's subject cannot be the id of a principal."],
  ["has a number as its subject", { sub: 7 }, /subject|whom/],
  ["has a subject with a line break", { sub: "a\nb" }, "The token's subject cannot be the id of a principal."],
  ["has a subject beyond ASCII", { sub: "käthe" }, "The token's subject cannot be the id of a principal."],
  ["has an endless subject", { sub: "x".repeat(255) }, "The token's subject cannot be the id of a principal."],
])("a token that %s is 401", async (_, claims, detail) => {
  const { call } = await setUp();
  expect(refusal(await call(claims))).toMatch(detail);
});

test("a token of another's key is 401", async () => {
  const { call } = await setUp();
  const { privateKey } = await keyPair();
  expect(refusal(await call({}, { key: privateKey }))).toBe("The token's signature is wrong.");
});

test("a token whose claims were changed is 401", async () => {
  const { issuer, door } = await setUp();
  const [head, , signature] = (await issuer.mint()).split(".");
  const claims = part({ iss: issuer.url, aud: AUDIENCE, sub: "somebody", exp: NOW + 3600, x: 1 });
  expect(refusal(await door.call(bearing(`${head}.${claims}.${signature}`)))).toBe("The token's signature is wrong.");
});

test.each(["none", "None", "NONE"])("a token of algorithm %s is 401", async (alg) => {
  const { issuer, door } = await setUp();
  const claims = (await issuer.mint()).split(".")[1];
  for (const signature of ["", "c2lnbmF0dXJl", "SIGNATURE_REMOVED_BY_GOOGLE"])
    refusal(await door.call(bearing(`${part({ alg, kid: "key-1" })}.${claims}.${signature}`)));
});

test("a token signed with the public key as a shared secret is 401", async () => {
  const { issuer, door } = await setUp();
  await issuer.rotate("RS256");
  expect((await door.call(bearing(await issuer.mint()))).status).toBe(200);
  const signed = `${part({ alg: "HS256", kid: "key-2" })}.${(await issuer.mint()).split(".")[1]}`;
  const signature = createHmac("sha256", await exportSPKI(issuer.publicKey()))
    .update(signed)
    .digest("base64url");
  expect(refusal(await door.call(bearing(`${signed}.${signature}`)))).toMatch(/algorithm/);
});

test("a token with an extension that must be understood is 401", async () => {
  const { issuer, door } = await setUp();
  const [, claims, signature] = (await issuer.mint()).split(".");
  const head = part({ alg: "ES256", kid: "key-1", crit: ["x"], x: 1 });
  expect(refusal(await door.call(bearing(`${head}.${claims}.${signature}`)))).toBe("The token is not valid.");
});

test("without issuers every token is 401", async () => {
  const issuer = await startIssuer();
  const door = await startDoor({});
  expect(refusal(await door.call(bearing(await issuer.mint())))).toMatch(/issuer that is not known/);
  expect(issuer.requests).toEqual([]);
});

test("a subject that looks like somebody's account is not that account", async () => {
  const { door, issuer, call } = await setUp({
    CAMS_ADMINS: "boss@project.example",
    AUTH_SYSTEM_ACCOUNTS: "job@project.example",
  });
  door.register("alice@project.example", "admin");
  for (const sub of ["boss@project.example", "job@project.example", "alice@project.example"]) {
    const { status, body } = await call({ sub, email: sub, email_verified: true });
    expect([status, body.detail]).toEqual([403, `${idOf(issuer, sub)} is not registered.`]);
  }
});

test("the same subject of two issuers is two principals", async () => {
  const one = await startIssuer();
  const other = await startIssuer();
  const door = await startDoor({ AUTH_ISSUERS: `${one.url},${other.url}`, AUTH_AUDIENCES: AUDIENCE });
  door.register(idOf(one), "admin");
  expect((await door.call(bearing(await one.mint()))).status).toBe(200);
  expect((await door.call(bearing(await other.mint()))).status).toBe(403);
  // Each issuer's name with the other's key.
  refusal(await door.call(bearing(await other.mint({ iss: one.url }))));
});

test("a token is remembered, but not beyond its end", async () => {
  const { call, issuer, door } = await setUp();
  const exp = Math.floor(Date.now() / 1000) - 3;
  const ending = await issuer.mint({ exp });
  expect((await door.call(bearing(ending))).status).toBe(200);
  const lasting = await issuer.mint();
  expect((await door.call(bearing(lasting))).status).toBe(200);
  await issuer.rotate();
  expect((await call()).status).toBe(200);
  expect((await door.call(bearing(lasting))).status).toBe(200);
  expect(refusal(await door.call(bearing(ending)))).toMatch(/does not publish/);
});

test("a token that is remembered does not outlive its end", async () => {
  const { issuer, door } = await setUp();
  // In its last second, and 5 more for clocks that differ.
  const token = await issuer.mint({ exp: Math.ceil(Date.now() / 1000) - 4 });
  expect((await door.call(bearing(token))).status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  expect(refusal(await door.call(bearing(token)))).toBe("The token has expired.");
});

test("a refused token is looked at again", async () => {
  const { issuer, door } = await setUp();
  const token = await issuer.mint({ nbf: Math.floor(Date.now() / 1000) + 7 });
  refusal(await door.call(bearing(token)));
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  expect((await door.call(bearing(token))).status).toBe(200);
});

test.each([
  ["with a verified e-mail is that account", { email: "Alice@Project.Example", email_verified: true }, 200],
  [
    "with the issuer's other name too",
    { iss: "accounts.google.com", email: "alice@project.example", email_verified: true },
    200,
  ],
  ["with an e-mail nobody verified is 401", { email: "alice@project.example", email_verified: false }, 401],
  ["that says nothing of it is 401", { email: "alice@project.example" }, 401],
  ["without an e-mail is 401", { email_verified: true }, 401],
  ["for another audience is 401", { email: "alice@project.example", email_verified: true, aud: "other" }, 401],
])("Google's token %s", async (_, claims, status) => {
  const issuer = await startIssuer();
  const AUTH_ISSUERS = `https://accounts.google.com=${issuer.keysUrl}`;
  const door = await startDoor({ AUTH_ISSUERS, AUTH_AUDIENCES: AUDIENCE });
  door.register("alice@project.example");
  const outcome = await door.call(bearing(await issuer.mint({ iss: "https://accounts.google.com", ...claims })));
  expect(outcome.status).toBe(status);
  if (status === 200) expect(outcome.body.principal).toBe("alice@project.example");
  refusal(await door.call(bearing(stripped({ aud: AUDIENCE, email: "alice@project.example" }))));
});

test("nothing of a token is in a refusal", async () => {
  const { issuer, door } = await setUp();
  const tokens = [await issuer.mint({ sub: "x\ny" }), "abc.def.ghi", await issuer.mint({ aud: "secret-audience" })];
  for (const token of tokens) {
    const { body } = await door.call(bearing(token));
    expect(JSON.stringify(body)).not.toMatch(/secret|abc|eyJ/);
  }
});
