import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import pg from "pg";
import { expect, test, vi } from "vitest";
import { runWithContext } from "../shared/logging/context.ts";
import type { Answer } from "./support/client.ts";
import { IAM_USER, SOON, useInstance } from "./support/cloud-sql-service.ts";
import { run } from "./support/global-setup.ts";
import { makerFor } from "./support/make.ts";

const instance = useInstance();
const sessionsOf = (name: string) => `from pg_stat_activity where application_name = '${name}'`;

test.concurrent("a service registers, sends and wakes who waits through the connector, as its IAM user", async (context) => {
  const { expect } = context;
  const { cloudSql, metadata, name, start } = await instance.world(context);
  const service = await start();
  const { aiAgentAddress } = await makerFor(service).inbox();
  const waiting = service.post(`/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, { waitSeconds: 20 });
  await expect
    .poll(() => service.sql(`select ${sessionsOf(name)} and query = 'listen cams_hints'`), SOON)
    .toHaveLength(1);
  const sent = await service.post("/v1/messages", {
    recipientAddress: aiAgentAddress,
    senderAddress: "a",
    payload: {},
  });
  expect(sent.status).toBe(202);
  expect((await waiting).body.messages).toMatchObject([{ messageId: sent.body.messageId }]);
  const users = await service.sql(`select distinct usename ${sessionsOf(name)}`);
  expect(users).toEqual([{ usename: IAM_USER }]);
  expect(cloudSql.open()).toBeGreaterThanOrEqual(2);
  expect([cloudSql.issued(), cloudSql.refused()]).toEqual([1, 0]);
  expect([...new Set(metadata.asked)].sort()).toEqual([
    "https://www.googleapis.com/auth/sqlservice.admin",
    "https://www.googleapis.com/auth/sqlservice.login",
  ]);
});

test.concurrent("an empty database is migrated through the connector", async (context) => {
  await run(instance.url(), "create database fresh");
  await run(instance.url(), `grant create on database fresh to "${IAM_USER}"`);
  const { start } = await instance.world(context, "fresh");
  const service = await start();
  const { status, body } = await service.post("/v1/system/migrate");
  expect([status, body.applied?.length]).toEqual([200, expect.any(Number)]);
  expect(body.applied.length).toBeGreaterThan(5);
  await makerFor(service).inbox();
});

test.concurrent("migrations meet an absent database, and one that goes away under them, with 503: the process lives", async (context) => {
  const { expect } = context;
  const { cloudSql, name, start } = await instance.world(context);
  const service = await start({ CLOUD_RUN_TIMEOUT_SECONDS: "4" });
  cloudSql.front = "refuses";
  const absent = { status: 503, body: { code: "database_unavailable" } };
  expect(await service.post("/v1/system/migrate")).toMatchObject(absent);
  cloudSql.front = "leads";
  const holder = new pg.Client(instance.url());
  await holder.connect();
  await holder.query("select pg_advisory_lock(hashtextextended('cams.migrations', 7261))");
  const migrating = service.post("/v1/system/migrate");
  await expect.poll(() => service.sql(`select ${sessionsOf(name)} and wait_event_type = 'Lock'`), SOON).toHaveLength(1);
  cloudSql.cut();
  expect(await migrating).toMatchObject(absent);
  await holder.end();
  await expect.poll(async () => (await service.post("/v1/system/migrate")).status, SOON).toBe(200);
});

test.concurrent("who shows no certificate is cut off before a byte reaches the database", async (context) => {
  const { cloudSql } = await instance.world(context);
  const socket = connectTls({ host: cloudSql.address, port: 3307, rejectUnauthorized: false });
  const ended = new Promise<string | undefined>((resolve) => {
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code));
    socket.on("close", () => resolve("closed"));
  });
  expect(await ended).toBe("ECONNRESET");
  expect([cloudSql.refused(), cloudSql.open()]).toEqual([1, 0]);
});

test.concurrent("connections cut under load: no other answer than 202 and 503, then all is well, none leaked", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  const service = await start();
  const { aiAgentAddress: recipientAddress } = await makerFor(service).inbox();
  const answers: Answer[] = [];
  let over = false;
  const sender = async () => {
    while (!over) {
      answers.push(await service.post("/v1/messages", { recipientAddress, senderAddress: "a", payload: {} }));
      if (answers.at(-1)?.status !== 202) await delay(10);
    }
  };
  const senders = Array.from({ length: 16 }, sender);
  for (let round = 0; round < 8; round++) {
    const before = answers.length;
    while (answers.length < before + 32) await delay(5);
    cloudSql.cut();
  }
  over = true;
  await Promise.all(senders);
  for (const { status, headers, body } of answers.filter(({ status }) => status !== 202)) {
    expect([status, body.code], JSON.stringify(body)).toEqual([503, "database_unavailable"]);
    expect(headers.get("retry-after")).toBe("1");
  }
  const rows = await service.sql<{ message_id: string }>("select message_id from cams.messages");
  const ids = new Set(rows.map(({ message_id }) => message_id));
  expect(answers.filter(({ status, body }) => status === 202 && !ids.has(body.messageId))).toEqual([]);
  const calls = Array.from({ length: 20 }, () => service.get("/health/ready"));
  for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
  expect(cloudSql.open()).toBeLessThanOrEqual(8);
});

test.concurrent("a statement whose connection breaks is not sent again: 503, and nothing waits in the database", async (context) => {
  const { expect } = context;
  const { cloudSql, name, start } = await instance.world(context);
  const service = await start();
  const { aiAgentAddress } = await makerFor(service).inbox();
  const waits = `select ${sessionsOf(name)} and wait_event_type = 'Lock'`;
  const holder = new pg.Client(instance.url());
  await holder.connect();
  await holder.query("begin");
  await holder.query("lock table cams.agent_inboxes in access exclusive mode");
  const report = service.post("/v1/agent-health-check", { aiAgentAddress, status: "HEALTHY" });
  await expect.poll(() => service.sql(waits), SOON).toHaveLength(1);
  await service.sql(`select pg_terminate_backend(pid) from (${waits.replace("select", "select pid")}) waiting`);
  expect(await report).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  expect(await service.sql(waits)).toEqual([]);
  await holder.end();
  expect(cloudSql.refused()).toBe(0);
});

test.concurrent("a connection that breaks between two statements of a transaction fails that request alone", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  const service = await start();
  const broken = service.app.repo.transaction(async (repo) => {
    await repo.system.makePartitions();
    cloudSql.cut();
    await delay(50);
    await repo.system.makePartitions();
  });
  await expect(broken).rejects.toMatchObject({ code: "database_unavailable" });
  expect((await service.get("/health/ready")).status).toBe(200);
});

test.concurrent("what goes on behind an answer whose time is over is connected for all the same", async (context) => {
  const { start } = await instance.world(context);
  const service = await start();
  const over = { deadline: performance.now() - 1, visit: { aborted: true } };
  const request = { requestId: "r", functionName: "f", statements: 0, databaseMilliseconds: 0, ...over };
  await runWithContext(request, () => service.app.repo.system.makePartitions());
});

test.concurrent("when all connections are in use by others, who comes is refused as overloaded after 5 s", async (context) => {
  const { start } = await instance.world(context);
  const service = await start();
  let held = 0;
  const hold = () => {
    held++;
    return delay(6_000);
  };
  const holders = Array.from({ length: 4 }, () => service.app.repo.transaction(hold));
  await vi.waitUntil(() => held === 4, SOON);
  const answer = await service.post("/v1/agent-health-sweep");
  expect(answer).toMatchObject({ status: 503, body: { code: "overloaded" } });
  await Promise.all(holders);
  expect((await service.post("/v1/agent-health-sweep")).status).toBe(200);
});

test.concurrent("when every connection was lost, more than the pool holds wait for new ones, and all are answered", async (context) => {
  const { expect } = context;
  const { cloudSql, start } = await instance.world(context);
  const service = await start();
  expect((await service.get("/health/ready")).status).toBe(200);
  cloudSql.front = "hangs";
  cloudSql.cut();
  await expect.poll(() => cloudSql.open(), SOON).toBe(0);
  const calls = Array.from({ length: 12 }, () => service.get("/health/ready"));
  // Longer than one waits for a pool whose connections others have.
  await delay(6_000);
  cloudSql.front = "leads";
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(12).fill(200));
  expect(cloudSql.open()).toBeLessThanOrEqual(4);
});

test("sessions that the server ends as idle are replaced, and nobody notices", async (context) => {
  const { cloudSql, start } = await instance.world(context);
  await run(instance.url(), `alter role "${IAM_USER}" set idle_session_timeout = '300ms'`);
  const service = await start();
  const warning = vi.spyOn(service.app.log, "warning");
  for (let round = 0; round < 3; round++) {
    for (const { status } of await Promise.all(Array.from({ length: 4 }, () => service.get("/health/ready"))))
      expect(status).toBe(200);
    await expect.poll(() => cloudSql.open(), SOON).toBe(0);
  }
  expect(warning).not.toHaveBeenCalledWith("idle database connection lost", expect.anything());
  await run(instance.url(), `alter role "${IAM_USER}" reset idle_session_timeout`);
});
