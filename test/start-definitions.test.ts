import { rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { client } from "./support/client.ts";
import { createDatabase } from "./support/database.ts";
import { addTo, agent, folderOf, team } from "./support/definitions-folder.ts";
import { startProcess } from "./support/process.ts";

/** Starts the service over one database as often as it is asked to. */
async function starter(env: Record<string, string>) {
  const database = await createDatabase({ empty: true });
  onTestFinished(() => database.drop());
  return async () => {
    const service = await startProcess({ DATABASE_URL: database.url, ...env });
    onTestFinished(() => service.end("SIGKILL").then(() => {}));
    const { get, delete: remove, raw } = client(service.url);
    const audit = async () => (await get("/v1/audit?pageSize=1000")).body.items;
    return { ...service, get, remove, raw, audit };
  };
}

test("the examples are there when it is ready, in all three forms, with all that they refer to", async () => {
  const service = await (await starter({ CAMS_DEFINITIONS: "examples/definitions" }))();
  expect(service.output()).not.toContain("definitions of");
  const { items } = (await service.get("/v1/definitions")).body;
  expect(items.length).toBeGreaterThan(5);
  for (const item of items) expect(item).toMatchObject({ status: "PUBLISHED", createdBy: "loader" });
  expect(service.output()).toContain(`curl -s ${service.url}/v1/definitions\n`);
  expect(await service.end("SIGTERM")).toBe(0);
});

test("a start writes nothing where nothing is new, and a change made by a call outlives it", async () => {
  const folder = await folderOf({ "a.yaml": agent("a"), "b.yaml": agent("b"), "t.yaml": team("t", "a") });
  const start = await starter({ CAMS_DEFINITIONS: folder, AUTH_MODE: "none" });
  const first = await start();
  const before = await first.audit();
  expect(before.length).toBeGreaterThan(0);
  for (const entry of before) expect(entry).toMatchObject({ actor: "loader", source: "loader" });
  await first.end("SIGTERM");

  const second = await start();
  expect(await second.audit()).toEqual(before);
  expect(second.output()).not.toContain("definitions of");
  const merge = { "content-type": "application/merge-patch+json" };
  expect((await second.raw("PATCH", "/v1/definitions/a?publish=true", '{"skills":["new"]}', merge)).status).toBe(201);
  expect((await second.remove("/v1/definitions/b")).status).toBe(204);
  const decided = await second.audit();
  await second.end("SIGTERM");

  const third = await start();
  expect(await third.audit()).toEqual(decided);
  expect((await third.get("/v1/definitions/a")).body).toMatchObject({ version: "1.0.1", source: "api" });
  expect((await third.get("/v1/definitions/b")).status).toBe(404);
});

test("what is refused is told with its place, and it starts all the same; so it does without the folder", async () => {
  const folder = await folderOf({ "a.yaml": agent("a"), "sub/b.yaml": agent("b", "one"), "c.yaml": 'kind: "' });
  const start = await starter({ CAMS_DEFINITIONS: folder });
  const first = await start();
  expect(first.output()).toContain(`  ${folder}/sub/b.yaml:5:12 /metadata/version must be a version`);
  expect(first.output()).toContain(`  ${folder}/c.yaml:1:`);
  expect(first.output()).toContain(`definitions of ${folder}: 3 documents: 1 created, 2 invalid\n`);
  expect((await first.get("/v1/definitions/a")).status).toBe(200);
  await first.end("SIGTERM");
  await addTo(folder, { "a.yaml": agent("a", "1.0.0", "skills: [edited]\n") });
  const second = await start();
  expect(second.output()).toContain("a.yaml:1:1 version_immutable: a 1.0.0 is PUBLISHED with other content");
  await second.end("SIGTERM");
  await rm(folder, { recursive: true });
  const third = await start();
  expect(third.output()).toContain(`definitions of ${folder} are not loaded: ENOENT`);
  expect((await third.get("/v1/definitions")).body.items).toHaveLength(1);
});

test("nobody need have a credential for it, and an empty CAMS_DEFINITIONS loads nothing", async () => {
  const guarded = await starter({
    CAMS_DEFINITIONS: await folderOf({ "a.yaml": agent("a") }),
    AUTH_MODE: "oidc",
    LOG_LEVEL: "INFO",
  });
  const closed = await guarded();
  expect(closed.output()).toContain("POST /v1/definitions/import?publish=true");
  expect((await closed.get("/v1/definitions")).status).toBe(401);
  const start = await starter({ CAMS_DEFINITIONS: "" });
  expect((await (await start()).get("/v1/definitions")).body.items).toEqual([]);
});
