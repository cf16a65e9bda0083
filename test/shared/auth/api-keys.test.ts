import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { hashOfSecret, makeApiKey, parseApiKey } from "../../../shared/auth/api-keys.ts";
import type { StoredKey } from "../../../shared/auth/directory.ts";
import { speaksFor } from "../../../shared/rules/access.ts";
import { refusal, startDoor } from "./door.ts";

const KEY_ID = "0198c0de-0000-7000-8000-00000000abcd";
const OTHER_ID = "0198c0de-0000-7000-8000-000000000002";

async function setUp(more: Partial<StoredKey> = {}, env: Record<string, string> = {}) {
  const door = await startDoor(env);
  const { key, hash } = makeApiKey(KEY_ID);
  const stored = { principal: "alice@project.example", role: "agent" as const, addresses: ["alice/*"], hash, ...more };
  door.directory.keys.set(KEY_ID, stored);
  return {
    door,
    key,
    call: (text = key, role?: Parameters<typeof door.call>[1]) => door.call({ "x-cams-key": text }, role),
  };
}

test("a key says who calls, as its principal is registered", async () => {
  const { call } = await setUp({ role: "operator", team: "red" });
  const { status, body } = await call();
  expect(status).toBe(200);
  expect(body).toEqual({ principal: "alice@project.example", role: "operator", team: "red", addresses: ["alice/*"] });
});

test("every key is another, and only the hash of its secret is for keeping", () => {
  const made = Array.from({ length: 100 }, () => makeApiKey(KEY_ID));
  expect(new Set(made.map(({ key }) => key)).size).toBe(100);
  for (const { key, hash } of made) {
    const { keyId, secret } = parseApiKey(key) ?? { keyId: "", secret: "" };
    expect(keyId).toBe(KEY_ID);
    expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    expect(hashOfSecret(secret)).toEqual(hash);
    expect(hash).toHaveLength(32);
  }
});

test.each([
  ["a secret of the same length", (key: string) => `${key.slice(0, -2)}${key.endsWith("AA") ? "BB" : "AA"}`],
  ["another id", (key: string) => key.replace(KEY_ID, OTHER_ID)],
  ["an id in capitals", (key: string) => key.replace(KEY_ID, KEY_ID.toUpperCase())],
  ["an id without dashes", (key: string) => key.replace(KEY_ID, KEY_ID.replaceAll("-", ""))],
  ["a secret cut short", (key: string) => key.slice(0, -1)],
  ["a secret too long", (key: string) => `${key}A`],
  ["no secret", (key: string) => key.replace(/_[^_]*$/, "_").slice(0, 42)],
  ["another prefix", (key: string) => key.replace("cams_", "Cams_")],
  ["a scheme", (key: string) => `Bearer ${key}`],
  ["nothing", () => ""],
])("a key with %s is refused like any other", async (_, change) => {
  const { call, key } = await setUp();
  expect(change(key)).not.toBe(key);
  expect(refusal(await call(change(key)))).toBe("The API key is not valid.");
});

test("only what looks like a key is looked up", async () => {
  const { call, door } = await setUp();
  await call("cams_x_y");
  expect(door.directory.asked).toEqual([]);
});

test("a key that comes to its end while its look-up is remembered ends all the same", async () => {
  const { call, door } = await setUp({ endsInMs: 250 });
  expect((await call()).status).toBe(200);
  await delay(260);
  expect(refusal(await call())).toBe("The API key is not valid.");
  expect(door.directory.asked).toHaveLength(1);
});

test.each([0, -5])("a key that ended %d ms from its look-up is refused", async (endsInMs) => {
  const { call } = await setUp({ endsInMs });
  refusal(await call());
});

test.each([
  ["agent", ["alice/*"]],
  ["operator", ["alice/*"]],
  ["admin", ["*"]],
] as const)("a key of an %s limited to addresses is an agent's, for what both speak for", async (role, addresses) => {
  const limitedTo = ["alice/one", "bob/one"];
  const { call } = await setUp({ role, limitedTo });
  const { body } = await call();
  expect(body).toEqual({ principal: "alice@project.example", role: "agent", addresses, limitedTo });
  expect(speaksFor(body, "alice/one")).toBe(true);
  expect(speaksFor(body, "alice/two")).toBe(false);
  expect(speaksFor(body, "bob/one")).toBe(role === "admin");
  expect((await call(undefined, "operator")).status).toBe(403);
});

test("a key limited to nothing speaks for nothing", async () => {
  const { call } = await setUp({ role: "admin", limitedTo: [] });
  expect(speaksFor((await call()).body, "alice/one")).toBe(false);
});

test("a key makes nobody more than the table says", async () => {
  const ids = "alice@project.example";
  const { call } = await setUp({}, { CAMS_ADMINS: ids, AUTH_SYSTEM_ACCOUNTS: ids });
  expect((await call()).body.role).toBe("agent");
  expect((await call(undefined, "operator")).status).toBe(403);
  expect((await call(undefined, "system")).status).toBe(403);
});

test("a key is never the system's, whatever the table says", async () => {
  const { call } = await setUp({ role: "system" as "admin" });
  refusal(await call(undefined, "system"));
});
