import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { startService, useService } from "../support/service.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { at, get, patch, decide } = definitionCalls(service);

const agent = (version = "1.0.0") => make.document({ metadata: { id: "echo", version } });
const etagOf = (revision: number) => ({ "if-none-match": `"${revision}"` });
/** Follows from what is there now; answers the answer and how long it took. */
async function follow(revision: number, seconds = 20) {
  const start = performance.now();
  const answer = await service.get(at("echo", `?waitSeconds=${seconds}`), etagOf(revision));
  return { ...answer, ms: performance.now() - start };
}

test("304 at once without waiting, and 200 at once when it is another revision or none", async () => {
  const { revision } = await make.published(agent());
  expect((await service.get(at("echo"), etagOf(revision))).status).toBe(304);
  expect((await service.get(at("echo"), etagOf(revision - 1))).status).toBe(200);
  const start = performance.now();
  expect((await get("echo", "?waitSeconds=20")).status).toBe(200);
  expect((await service.get(at("echo", "?waitSeconds=20"), etagOf(revision - 1))).status).toBe(200);
  expect(performance.now() - start).toBeLessThan(10_000);
});

test.each<[string, () => Promise<unknown>, string]>([
  ["a version is published", () => make.published(agent("2.0.0")), "2.0.0"],
  ["a patch is published", () => patch("echo", { skills: ["a"] }, "?publish=true"), "1.0.1"],
])("a follower is answered when %s", async (_, act, version) => {
  const { revision } = await make.published(agent());
  const following = follow(revision);
  await delay(300);
  await act();
  const { status, body, ms } = await following;
  expect({ status, version: body.version }).toEqual({ status: 200, version });
  expect(ms).toBeLessThan(10_000);
});

test("a follower is answered when a rollback is made, in another process too", async () => {
  await make.published(agent());
  const { revision } = await make.published(agent("2.0.0"));
  const second = await startService({}, { url: service.databaseUrl, drop: async () => {} });
  try {
    const following = follow(revision);
    await delay(300);
    await second.post(at("echo", "/versions/1.0.0/activate"), {});
    expect((await following).body.version).toBe("1.0.0");
  } finally {
    await second.close();
  }
});

test("every process is told what is current, and of no draft", async () => {
  const heard: string[] = [];
  const client = new pg.Client(service.databaseUrl);
  await client.connect();
  try {
    client.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await client.query("listen cams_hints");
    await make.definition({ metadata: { id: "other" } });
    await make.published(agent());
    await expect.poll(() => heard.join(), { timeout: 10_000 }).toContain("definition:echo");
    expect(heard.join()).not.toContain("definition:other");
  } finally {
    await client.end();
  }
});

test("a follower is told 404 when the definition is retired", async () => {
  const { revision } = await make.published(agent());
  const following = follow(revision);
  await delay(300);
  await service.delete(at("echo"));
  expect((await following).body.code).toBe("version_not_found");
});

test("a draft wakes nobody, and shows in the revision at the end", async () => {
  const { revision } = await make.published(agent());
  const following = follow(revision, 2);
  await delay(200);
  await make.definition(agent("2.0.0"));
  const { status, body, ms } = await following;
  expect(ms).toBeGreaterThan(1900);
  expect({ status, version: body.version, revision: body.revision }).toEqual({
    status: 200,
    version: "1.0.0",
    revision: revision + 1,
  });
});

test("304 when nothing has changed for so long", async () => {
  const { revision } = await make.published(agent());
  const { status, ms } = await follow(revision, 1);
  expect(status).toBe(304);
  expect(ms).toBeGreaterThan(900);
});

test("a version by its name is never waited for", async () => {
  const { revision } = await make.published(agent());
  const { status } = await service.get(at("echo", "?version=1.0.0&waitSeconds=20"), etagOf(revision));
  expect(status).toBe(304);
  expect((await decide("echo", "1.0.0", "activate")).status).toBe(200);
});
