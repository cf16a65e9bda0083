import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type EmbeddedPostgres, startPostgres } from "../scripts/postgres.ts";
import { migrate } from "../shared/db/migrate.ts";
import type { Answer } from "./support/client.ts";
import { makerFor } from "./support/make.ts";
import { copyCluster } from "./support/postgres.ts";
import { type Service, startService } from "./support/service.ts";
import { startFront, type TcpFront } from "./support/tcp-front.ts";

const POOL = 4;
let folder: string;
let database: EmbeddedPostgres;
let proxy: TcpFront;
let service: Service;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cams-faults-"));
  copyCluster(folder);
  database = await startPostgres({ dataDir: folder });
  proxy = await startFront(database.port);
  const url = new URL(database.url);
  url.port = String(proxy.port);
  const env = { DB_POOL_SIZE: String(POOL), DB_STATEMENT_TIMEOUT_SECONDS: "1" };
  service = await startService(env, { url: url.href, drop: async () => {} });
  await migrate(service.app.client);
});

afterAll(async () => {
  await service?.close();
  proxy?.close();
  await database?.stop("immediate");
  await rm(folder, { recursive: true, force: true });
});

/** Keeps sending until `until` ends; every answer must be one that a client can rely on. */
async function load(recipientAddress: string, until: Promise<unknown>): Promise<Answer[]> {
  let over = false;
  void until.finally(() => {
    over = true;
  });
  const answers: Answer[] = [];
  const sender = async () => {
    while (!over) {
      const answer = await service.post("/v1/messages", { recipientAddress, senderAddress: "a", payload: {} });
      answers.push(answer);
      if (answer.status !== 202) await delay(20);
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
  return answers;
}

function expectHonest(answers: Answer[]): void {
  for (const { status, headers, body } of answers) {
    if (status === 202) continue;
    expect([status, body.code], JSON.stringify(body)).toEqual([503, "database_unavailable"]);
    expect(headers.get("retry-after")).toBe("1");
  }
}

async function idsInDatabase(): Promise<Set<string>> {
  const rows = await service.sql<{ message_id: string }>("select message_id from cams.messages");
  return new Set(rows.map((row) => row.message_id));
}

test("PostgreSQL stopped and started under load: 503 with Retry-After, then all is well again, nothing accepted lost", async () => {
  const { aiAgentAddress } = await makerFor(service).inbox();
  const outage = (async () => {
    await delay(300);
    proxy.lead(undefined);
    await database.stop();
    await delay(300);
    database = await startPostgres({ dataDir: folder });
    proxy.lead(database.port);
    await delay(700);
  })();
  const answers = await load(aiAgentAddress, outage);
  expectHonest(answers);
  expect(answers.filter(({ status }) => status === 503).length).toBeGreaterThan(5);
  expect(answers.slice(-16).map(({ status }) => status)).toEqual(Array(16).fill(202));
  const ids = await idsInDatabase();
  expect(answers.filter(({ status, body }) => status === 202 && !ids.has(body.messageId))).toEqual([]);
  expect((await service.get("/health/ready")).status).toBe(200);
});

test("connections terminated or cut under load: no other answer than 202 and 503, no connection leaked", async () => {
  const { aiAgentAddress } = await makerFor(service).inbox();
  const faults = (async () => {
    const admin = new pg.Client(database.url);
    await admin.connect();
    for (let round = 0; round < 10; round++) {
      await delay(50);
      if (round % 2 === 0) proxy.cut();
      else
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'cams' and datname = current_database() and pid <> pg_backend_pid()`,
        );
    }
    await admin.end();
  })();
  const answers = await load(aiAgentAddress, faults);
  expectHonest(answers);
  const ids = await idsInDatabase();
  expect(answers.filter(({ status, body }) => status === 202 && !ids.has(body.messageId))).toEqual([]);
  const calls = Array.from({ length: 20 }, () => service.get(`/v1/agent-inboxes/${aiAgentAddress}`));
  for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
  // The test's own pool has two of its own.
  expect(proxy.open()).toBeLessThanOrEqual(POOL + 2);
});

test("idle connections that the server closes are replaced: the log tells, the next requests find all well", async () => {
  const warning = vi.spyOn(service.app.log, "warning");
  const calls = () => Array.from({ length: POOL * 2 }, () => service.get("/health/ready"));
  await Promise.all(calls());
  await service.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'cams' and datname = current_database()`,
  );
  await delay(50);
  for (const { status } of await Promise.all(calls())) expect(status).toBe(200);
  expect(warning).toHaveBeenCalledWith("idle database connection lost", { error: expect.any(Error) });
  warning.mockRestore();
});

test("a connection that breaks between two statements of a transaction fails that request alone", async () => {
  const broken = service.app.repo.transaction(async (repo) => {
    await repo.system.makePartitions();
    proxy.cut();
    await delay(50);
    await repo.system.makePartitions();
  });
  await expect(broken).rejects.toMatchObject({ code: "database_unavailable" });
  expect((await service.get("/health/ready")).status).toBe(200);
});

test("a statement over its time is cancelled: 503, and the connection serves on", async () => {
  const { aiAgentAddress } = await makerFor(service).inbox();
  const holder = new pg.Client(database.url);
  await holder.connect();
  await holder.query("begin");
  await holder.query("select from cams.agent_inboxes where ai_agent_address = $1 for update", [aiAgentAddress]);
  const report = { aiAgentAddress, status: "HEALTHY" };
  const refused = await service.post("/v1/agent-health-check", report);
  expect(refused).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  await holder.query("rollback");
  await holder.end();
  expect((await service.post("/v1/agent-health-check", report)).status).toBe(200);
});

test("when all connections are in use, requests are refused as overloaded and never wait past their limit", async () => {
  const { aiAgentAddress } = await makerFor(service).inbox();
  const busy = await service.app.repo.transaction(async () => {
    const holders = Array.from({ length: POOL - 1 }, () => service.app.repo.transaction(() => delay(5_500)));
    await delay(100);
    const start = performance.now();
    // The same database role as the holders'; that of agents has connections of its own.
    const answer = await service.post("/v1/agent-health-sweep");
    expect((await service.get(`/v1/agent-inboxes/${aiAgentAddress}`)).status).toBe(200);
    const seconds = (performance.now() - start) / 1000;
    await Promise.all(holders);
    return { answer, seconds };
  });
  expect(busy.answer).toMatchObject({ status: 503, body: { code: "overloaded" } });
  expect(busy.seconds).toBeLessThan(6);
  expect((await service.post("/v1/agent-health-sweep")).status).toBe(200);
});

test("a down database makes the service unready but leaves it alive", async () => {
  proxy.lead(undefined);
  proxy.cut();
  expect((await service.get("/health/live")).status).toBe(200);
  expect(await service.get("/health/ready")).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  proxy.lead(database.port);
  expect((await service.get("/health/ready")).status).toBe(200);
});
