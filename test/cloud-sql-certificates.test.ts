import { expect, test } from "vitest";
import type { Answer } from "./support/client.ts";
import type { FakeCloudSql } from "./support/cloud-sql.ts";
import { SOON, useInstance } from "./support/cloud-sql-service.ts";
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

test.each([
  ["of another instance", "project:another", false],
  ["by another authority", "project:instance", true],
])("a server certificate %s is refused: 503, and no connection", async (_, commonName, byOther) => {
  const { cloudSql, start } = await instance.world();
  cloudSql.pretend(commonName, byOther);
  const service = await start(SHORT);
  expectUnavailable(await service.get("/health/ready"));
  expect(cloudSql.open()).toBe(0);
  cloudSql.pretend("project:instance");
  expect((await service.get("/health/ready")).status).toBe(200);
});

/** Ends the service's sessions in the database: unlike a cut connection this is no reason to renew a certificate. */
async function endSessions({ sql }: Service, cloudSql: FakeCloudSql): Promise<void> {
  await sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cams'");
  await expect.poll(() => cloudSql.open(), SOON).toBe(0);
}

test("a certificate is renewed before its end, and every request meanwhile is answered", async () => {
  const { cloudSql, start } = await instance.world();
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
  await endSessions(service, cloudSql);
  expect((await service.get("/health/ready")).status).toBe(200);
  expect([cloudSql.issued(), cloudSql.refused()]).toEqual([2, 0]);
});

test("a certificate that ended while the process was frozen is renewed within the request that finds out", async () => {
  const { cloudSql, start } = await instance.world();
  const service = await start(SHORT);
  expect((await service.get("/health/ready")).status).toBe(200);
  cloudSql.expireAllBut(0);
  await endSessions(service, cloudSql);
  expect((await service.get("/health/ready")).status).toBe(200);
  expect(cloudSql.issued()).toBe(2);
  expect(cloudSql.refused()).toBeGreaterThan(0);
});

test("a renewal that hangs is overtaken by a new one within the same request", async () => {
  const { cloudSql, start } = await instance.world();
  const service = await start();
  expect((await service.get("/health/ready")).status).toBe(200);
  cloudSql.expireAllBut(0);
  await endSessions(service, cloudSql);
  const before = cloudSql.calls();
  cloudSql.admin.hanging = true;
  const answer = service.get("/health/ready");
  await expect.poll(() => cloudSql.calls(), SOON).toBeGreaterThan(before);
  cloudSql.admin.hanging = false;
  expect((await answer).status).toBe(200);
  expect(cloudSql.issued()).toBe(2);
});

test("an Admin API that fails more often than the connector asks again delays the first request, and no more", async () => {
  const { cloudSql, start } = await instance.world();
  cloudSql.admin.failing = 8;
  const service = await start();
  expect((await service.get("/health/ready")).status).toBe(200);
  expect([cloudSql.admin.failing, cloudSql.issued()]).toEqual([0, 1]);
});

test.each([
  ["fails", { failing: 1e6, hanging: false }],
  ["hangs", { failing: 0, hanging: true }],
])(
  "an Admin API that %s for good: each request is refused within its deadline, and served once it is back",
  async (_, admin) => {
    const { cloudSql, start } = await instance.world();
    Object.assign(cloudSql.admin, admin);
    const service = await start(SHORT);
    for (const answer of await Promise.all([1, 2, 3].map(() => service.get("/health/ready"))))
      expectUnavailable(answer);
    expect((await service.get("/health/live")).status).toBe(200);
    Object.assign(cloudSql.admin, { failing: 0, hanging: false });
    // What hangs is given up after 10 s.
    await expect.poll(async () => (await service.get("/health/ready")).status, SOON).toBe(200);
  },
  40_000,
);

test("a front that refuses or hangs for good: 503 within the deadline", async () => {
  const { cloudSql, start } = await instance.world();
  const service = await start(SHORT);
  for (const front of ["refuses", "hangs"] as const) {
    cloudSql.front = front;
    expectUnavailable(await service.get("/health/ready"));
  }
  cloudSql.front = "leads";
  expect((await service.get("/health/ready")).status).toBe(200);
});
