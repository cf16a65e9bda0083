import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { makeApiKey } from "../../../shared/auth/api-keys.ts";
import { CACHE_MS } from "../../../shared/auth/lookups.ts";
import { stripped } from "../../support/issuer.ts";
import { refusal, startDoor } from "./door.ts";

const IAM = { PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: "https://cams-abc.a.run.app" };
const ID = "invoker@project.example";
const headers = { authorization: `Bearer ${stripped()}` };
const KEY_ID = "0198c0de-0000-7000-8000-000000000001";

test("a change of a principal is seen once its time has passed, even when the look-up before it was slow", async () => {
  const door = await startDoor(IAM);
  door.register(ID, "admin");
  door.directory.slowly = () => delay(400);
  const before = door.call(headers, "admin");
  await vi.waitUntil(() => door.directory.asked.length === 1, { interval: 1 });
  door.directory.principals.delete(ID);
  const changed = performance.now();
  expect((await before).status).toBe(200);
  expect((await door.call(headers, "admin")).status).toBe(200);
  await delay(CACHE_MS - (performance.now() - changed));
  expect((await door.call(headers, "admin")).status).toBe(403);
  expect(door.directory.asked).toEqual([ID, ID]);
});

test("a key that is taken back opens nothing once its time has passed", async () => {
  const door = await startDoor();
  const { key, hash } = makeApiKey(KEY_ID);
  door.directory.keys.set(KEY_ID, { principal: "a", role: "agent", addresses: [], hash });
  expect((await door.call({ "x-cams-key": key })).status).toBe(200);
  door.directory.keys.delete(KEY_ID);
  await delay(CACHE_MS);
  refusal(await door.call({ "x-cams-key": key }));
});

test("a wrong secret opens nothing while the right one is remembered", async () => {
  const door = await startDoor();
  const { key, hash } = makeApiKey(KEY_ID);
  door.directory.keys.set(KEY_ID, { principal: "a", role: "agent", addresses: [], hash });
  expect((await door.call({ "x-cams-key": key })).status).toBe(200);
  refusal(await door.call({ "x-cams-key": makeApiKey(KEY_ID).key }));
  expect((await door.call({ "x-cams-key": key })).status).toBe(200);
  expect(door.directory.asked).toEqual([KEY_ID]);
});

test("a key that is sent as a token is told where keys go", async () => {
  const door = await startDoor();
  const { status, body } = await door.call({ authorization: `Bearer ${makeApiKey(KEY_ID).key}` });
  expect([status, body.detail]).toEqual([401, "The token cannot be read: an API key goes into X-Cams-Key."]);
});

test("a principal that asks too often is told when to come back, and others are not held up", async () => {
  const door = await startDoor({ ...IAM, RATE_LIMIT_PER_MINUTE: "3" });
  door.register(ID);
  door.register("other@project.example");
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) statuses.push((await door.call(headers)).status);
  expect(statuses).toEqual([200, 200, 200]);
  const { status, body, headers: answered } = await door.call(headers);
  expect([status, body.code]).toEqual([429, "rate_limited"]);
  expect(Number(answered["retry-after"])).toBeGreaterThanOrEqual(55);
  expect(Number(answered["retry-after"])).toBeLessThanOrEqual(60);
  const other = { authorization: `Bearer ${stripped({ email: "other@project.example" })}` };
  expect((await door.call(other)).status).toBe(200);
});

test.each([
  ["system accounts", { ...IAM, AUTH_SYSTEM_ACCOUNTS: ID }, "system"],
  ["the local administrator", { AUTH_MODE: "none" }, "admin"],
  ["whoever calls what is public", IAM, "public"],
] as const)("%s: never too often", async (_, env, role) => {
  const door = await startDoor({ ...env, RATE_LIMIT_PER_MINUTE: "1" });
  for (let n = 0; n < 3; n++) expect((await door.call(headers, role)).status).toBe(200);
});

test("a limit of 0 is none", async () => {
  const door = await startDoor({ ...IAM, RATE_LIMIT_PER_MINUTE: "0" });
  door.register(ID);
  for (let n = 0; n < 5; n++) expect((await door.call(headers)).status).toBe(200);
});
