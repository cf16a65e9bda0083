import { expect, test } from "vitest";
import { stripped } from "../../support/issuer.ts";
import { startDoor } from "./door.ts";

const IAM = { PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: "https://cams-abc.a.run.app" };
const ID = "invoker@project.example";
const headers = { authorization: `Bearer ${stripped()}` };

test("who is not registered is known, but may do nothing", async () => {
  const door = await startDoor(IAM);
  const { status, body } = await door.call(headers);
  expect([status, body.code, body.detail]).toEqual([403, "forbidden", `${ID} is not registered.`]);
});

test.each([
  ["agent", "agent", 200],
  ["agent", "operator", 403],
  ["agent", "admin", 403],
  ["agent", "system", 403],
  ["operator", "operator", 200],
  ["operator", "admin", 403],
  ["admin", "agent", 200],
  ["admin", "admin", 200],
  ["admin", "system", 403],
] as const)("an %s at an endpoint for %s: %d", async (registered, role, status) => {
  const door = await startDoor(IAM);
  door.register(ID, registered);
  expect((await door.call(headers, role)).status).toBe(status);
});

test("the first administrators need no table", async () => {
  const door = await startDoor({ ...IAM, CAMS_ADMINS: "x@y.example, Invoker@Project.Example" });
  door.register(ID, "agent");
  const { body } = await door.call(headers, "admin");
  expect(body).toEqual({ principal: ID, role: "admin", addresses: [] });
  expect(door.directory.asked).toEqual([]);
});

test("system accounts call what is the system's, and nothing else", async () => {
  const door = await startDoor({ ...IAM, AUTH_SYSTEM_ACCOUNTS: "Invoker@project.example", CAMS_ADMINS: ID });
  door.register(ID, "admin");
  expect((await door.call(headers, "system")).body).toEqual({ principal: ID, role: "system", addresses: [] });
  expect((await door.call(headers, "admin")).status).toBe(403);
  expect((await door.call(headers, "agent")).status).toBe(403);
  expect(door.directory.asked).toEqual([]);
});

test("the table makes nobody a system account", async () => {
  const door = await startDoor(IAM);
  door.register(ID, "system" as "admin");
  expect((await door.call(headers, "system")).status).toBe(403);
});

test("a directory that fails lets nobody in", async () => {
  const door = await startDoor(IAM);
  door.directory.principal = () => Promise.reject(new Error("boom"));
  expect((await door.call(headers)).status).toBe(500);
});
