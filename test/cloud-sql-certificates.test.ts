import { setTimeout as delay } from "node:timers/promises";
import { expect, type TestContext, test } from "vitest";
import type { Answer } from "./support/client.ts";
import { SOON, useInstance, type World } from "./support/cloud-sql-service.ts";
import type { Service } from "./support/service.ts";

const instance = useInstance();
/** Requests must be answered within 3 s, so connecting is given up after 2.5 s. */
const SHORT = { CLOUD_RUN_TIMEOUT_SECONDS: "4" };
const unavailable = { status: 503, body: { code: "database_unavailable" } };

function expectUnavailable(answer: Answer): void {
  expect(answer).toMatchObject(unavailable);
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
}

test.concurrent.for([
  ["of another instance", "project:another", false],
  ["by another authority", "project:instance", true],
] as const)("a server certificate %s is refused: 503, and no connection", async ([, commonName, byOther], context) => {
  const { cloudSql, start } = await instance.world(context);
  cloudSql.pretend(commonName, byOther);
  const service = await start(SHORT);
  expectUnavailable(await service.get("/health/ready"));
  expect(cloudSql.open()).toBe(0);
  cloudSql.pretend("project:instance");
  expect((await service.get("/health/ready")).status).toBe(200);
});

/** Ends the service's sessions in the database: unlike a cut connection this is no reason to renew a certificate. */
async function endSessions({ sql }: Service, { cloudSql, name }: World, { expect }: TestContext): Promise<void> {
  await sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [name]);
  await expect.poll(() => cloudSql.open(), SOON).toBe(0);
}

test.concurrent("a certificate is renewed before its end, and every request meanwhile is answered", async (context) => {
  const world = await instance.world(context);
  const { cloudSql, start } = world;
  // The connector renews it four minutes before its end.
  cloudSql.certificateSeconds = 243;
  const service = await start();
  const answers = [await service.get("/health/ready")];
  cloudSql.certificateSeconds = 3600;
  while (cloudSql.issued() < 2) answers.push(await service.get("/health/ready"));
  // Until the connector has it.
  for (let more = 0; more < 50; more++) answers.push(await service.get("/health/ready"));
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  cloudSql.expireAllBut(1);
  await endSessions(service, world, context);
  expect((await service.get("/health/ready")).status).toBe(200);
  expect([cloudSql.issued(), cloudSql.refused()]).toEqual([2, 0]);
});

test.concurrent("a certificate that ended while the process was frozen is renewed within the request that finds out", async (context) => {
  const world = await instance.world(context);
  const { cloudSql, start } = world;
  const service = await start(SHORT);
  expect((await service.get("/health/ready")).status).toBe(200);
  cloudSql.expireAllBut(0);
  await endSessions(service, world, context);
  expect((await service.get("/health/ready")).status).toBe(200);
  expect(cloudSql.issued()).toBe(2);
  expect(cloudSql.refused()).toBeGreaterThan(0);
});

test.concurrent("a renewal that hangs is overtaken by a new one within the same request", async (context) => {
  const { expect } = context;
  const world = await instance.world(context);
  const { cloudSql, start } = world;
  const service = await start();
  expect((await service.get("/health/ready")).status).toBe(200);
  cloudSql.expireAllBut(0);
  await endSessions(service, world, context);
  const before = cloudSql.calls();
  cloudSql.admin.hanging = true;
  const answer = service.get("/health/ready");
  await expect.poll(() => cloudSql.calls(), SOON).toBeGreaterThan(before);
  cloudSql.admin.hanging = false;
  expect((await answer).status).toBe(200);
  expect(cloudSql.issued()).toBe(2);
});

test.concurrent("an Admin API that fails more often than the connector asks again delays the first request, and no more", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  cloudSql.admin.failing = 8;
  const service = await start();
  expect((await service.get("/health/ready")).status).toBe(200);
  expect([cloudSql.admin.failing, cloudSql.issued()]).toEqual([0, 1]);
});

test.concurrent.for([
  ["fails", { failing: 1e6, hanging: false }],
  ["hangs", { failing: 0, hanging: true }],
] as const)(
  "an Admin API that %s for good: each request is refused within its deadline, and served once it is back",
  { timeout: 40_000 },
  async ([, admin], context) => {
    const { expect } = context;
    const { cloudSql, start } = await instance.world(context);
    Object.assign(cloudSql.admin, admin);
    const service = await start(SHORT);
    for (const answer of await Promise.all([1, 2, 3].map(() => service.get("/health/ready"))))
      expectUnavailable(answer);
    expect((await service.get("/health/live")).status).toBe(200);
    Object.assign(cloudSql.admin, { failing: 0, hanging: false });
    // What hangs is given up after 10 s.
    await expect.poll(async () => (await service.get("/health/ready")).status, SOON).toBe(200);
  },
);

test.concurrent("a front that refuses or hangs for good: 503 within the deadline", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  const service = await start(SHORT);
  for (const front of ["refuses", "hangs"] as const) {
    cloudSql.front = front;
    expectUnavailable(await service.get("/health/ready"));
  }
  cloudSql.front = "leads";
  expect((await service.get("/health/ready")).status).toBe(200);
});

test.concurrent("a database that refuses is not knocked at by each of many that wait, and serves all once it is back", async (context) => {
  const { expect } = context;
  const { cloudSql, start } = await instance.world(context);
  cloudSql.front = "refuses";
  const service = await start(SHORT);
  const all = () => Promise.all(Array.from({ length: 80 }, () => service.get("/health/ready")));
  const first = service.get("/health/ready");
  await expect.poll(() => cloudSql.knocks(), SOON).toBeGreaterThan(0);
  const before = cloudSql.knocks();
  for (const answer of await all()) expectUnavailable(answer);
  expectUnavailable(await first);
  expect(cloudSql.knocks()).toBeGreaterThan(before);
  // As it was known when they came, not even once each; each for itself would knock four times or more.
  expect(cloudSql.knocks()).toBeLessThan(80);
  cloudSql.front = "leads";
  await expect.poll(async () => (await service.get("/health/ready")).status, SOON).toBe(200);
  expect((await all()).filter(({ status }) => status !== 200)).toEqual([]);
});

test.concurrent("who hangs up while it is connected for is not connected for any longer", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  cloudSql.front = "refuses";
  const { url } = await start();
  const gone = Array.from({ length: 8 }, () => fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(300) }));
  for (const call of await Promise.allSettled(gone)) expect(call.status).toBe("rejected");
  await delay(1_000);
  cloudSql.front = "leads";
  await delay(1_500);
  expect(cloudSql.open()).toBe(0);
});

test.concurrent("who hangs up before there is a certificate is not connected for once there is one", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  cloudSql.admin.failing = 1e6;
  const { url, get } = await start();
  const gone = Array.from({ length: 8 }, () => fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(300) }));
  for (const call of await Promise.allSettled(gone)) expect(call.status).toBe("rejected");
  cloudSql.admin.failing = 0;
  expect((await get("/health/ready")).status).toBe(200);
  expect([cloudSql.issued(), cloudSql.knocks()]).toEqual([1, 1]);
});
