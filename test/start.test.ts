import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { client } from "./support/client.ts";
import { createDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { copyCluster } from "./support/postgres.ts";
import { startAndFail, startProcess } from "./support/process.ts";
import { startReceiver } from "./support/receiver.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cams-start-"));
});
afterEach(async () => {
  const pid = await postgresPid();
  if (pid && isAlive(pid)) process.kill(pid, "SIGQUIT");
  await rm(folder, { recursive: true, force: true, maxRetries: 20 });
});

async function postgresPid(): Promise<number | undefined> {
  const text = await readFile(join(folder, "postgres", "postmaster.pid"), "utf8").catch(() => "");
  return text ? Number(text.split("\n")[0]) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const inbox = { aiAgentAddress: "keeper@corp.example", inboxDestinationType: "PULL_QUEUE" };

test("with AUTH_MODE=oidc it asks callers who they are, and its own scheduler goes on without a credential", async () => {
  const open = await startProcess({ CAMS_DATA_DIR: folder });
  const local = client(open.url);
  await local.put("/v1/principals/ann", { role: "admin" });
  const { key } = (await local.post("/v1/principals/ann/keys", {})).body;
  await open.end("SIGTERM");
  const closed = await startProcess({ CAMS_DATA_DIR: folder, AUTH_MODE: "oidc", LOG_LEVEL: "INFO" });
  expect((await client(closed.url).get("/v1/agent-inboxes")).status).toBe(401);
  expect((await client(closed.url, { "x-cams-key": key }).get("/v1/principals")).status).toBe(200);
  await expect.poll(() => closed.output()).toContain("POST /v1/agent-health-sweep 200");
  expect(await closed.end("SIGTERM")).toBe(0);
});

describe("with a database of its own", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} ends it and its PostgreSQL, exit code 0, and the data are there at the next start`, async () => {
      copyCluster(folder);
      const first = await startProcess({ CAMS_DATA_DIR: folder });
      expect((await client(first.url).post("/v1/agent-inboxes", inbox)).status).toBe(201);
      const pid = (await postgresPid()) as number;
      expect(await first.end(signal)).toBe(0);
      expect(isAlive(pid)).toBe(false);
      const second = await startProcess({ CAMS_DATA_DIR: folder });
      expect((await client(second.url).get(`/v1/agent-inboxes/${inbox.aiAgentAddress}`)).status).toBe(200);
      expect(await second.end("SIGTERM")).toBe(0);
    });
  }

  for (const [victims, what] of [
    [["service"], "of the service: the old PostgreSQL still runs"],
    [["postgres"], "of PostgreSQL"],
    [["service", "postgres"], "of both"],
  ] as const) {
    test(`after a SIGKILL ${what}, the next start recovers and nothing accepted is lost`, async () => {
      copyCluster(folder);
      const first = await startProcess({ CAMS_DATA_DIR: folder });
      const api = client(first.url);
      await api.post("/v1/agent-inboxes", inbox);
      const sent = await Promise.all(
        Array.from({ length: 50 }, () =>
          api.post("/v1/messages", { recipientAddress: inbox.aiAgentAddress, senderAddress: "a", payload: {} }),
        ),
      );
      expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 202));
      const pid = (await postgresPid()) as number;
      if ((victims as readonly string[]).includes("postgres")) process.kill(pid, "SIGKILL");
      if ((victims as readonly string[]).includes("service")) await first.end("SIGKILL");
      else {
        expect(await first.ended).toBe(1);
        expect(first.output()).toContain("cams ends: its PostgreSQL is gone");
      }

      const second = await startProcess({ CAMS_DATA_DIR: folder });
      const { body } = await client(second.url).get(`/v1/agent-inboxes/${inbox.aiAgentAddress}`);
      expect(body.pendingMessages).toBe(50);
      expect(await second.end("SIGTERM")).toBe(0);
    });
  }

  test("fires the scheduled functions at its start, and delivers from then on", async () => {
    copyCluster(folder);
    const service = await startProcess({ CAMS_DATA_DIR: folder, LOG_LEVEL: "INFO" });
    for (const path of ["agent-health-sweep", "system/retention"])
      await expect.poll(service.output).toContain(`POST /v1/${path} 200`);
    const { url, received } = await startReceiver();
    const { post } = client(service.url);
    const aiAgentAddress = "hook@corp.example";
    await post("/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "HTTP_ENDPOINT", inboxName: url });
    await post("/v1/messages", { recipientAddress: aiAgentAddress, senderAddress: "a@corp.example", payload: {} });
    await expect.poll(() => received.length).toBe(1);
    const begun = performance.now();
    expect(await service.end("SIGTERM")).toBe(0);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test("a folder that is in use is one clear line and exit code 1", async () => {
    copyCluster(folder);
    const first = await startProcess({ CAMS_DATA_DIR: folder });
    const { code, output } = await startAndFail({ CAMS_DATA_DIR: folder });
    expect(code).toBe(1);
    expect(output.trim().split("\n")).toEqual([expect.stringMatching(/^cams cannot start: cams is already running/)]);
    expect((await client(first.url).get("/health/ready")).status).toBe(200);
    await first.end("SIGTERM");
  });

  test("a folder that cannot be written is one clear line and exit code 1", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await chmod(file, 0o400);
    const { code, output } = await startAndFail({ CAMS_DATA_DIR: join(file, "data") });
    expect(code).toBe(1);
    expect(output.trim().split("\n")).toEqual([expect.stringMatching(/^cams cannot start: cannot write to /)]);
  });
});

describe("with DATABASE_URL", () => {
  test("uses that server, ends on SIGTERM and leaves it running", async () => {
    const database = await createDatabase({ empty: true });
    const service = await startProcess({ DATABASE_URL: database.url, CAMS_DATA_DIR: folder });
    expect((await client(service.url).post("/v1/agent-inboxes", inbox)).status).toBe(201);
    expect(await service.end("SIGTERM")).toBe(0);
    expect((await run(database.url, "select from cams.agent_inboxes")).rowCount).toBe(1);
    expect(await postgresPid()).toBeUndefined();
    await database.drop();
  });

  test("a schema newer than the code is one clear line and exit code 1", async () => {
    const database = await createDatabase();
    await run(database.url, "insert into cams.migrations (name, run_on) values ('9999_future', now())");
    const { code, output } = await startAndFail({ DATABASE_URL: database.url });
    expect(code).toBe(1);
    expect(output.trim()).toBe("cams cannot start: the database is newer than this code: it has 9999_future.");
    await database.drop();
  });

  test("a taken port is one clear line and exit code 1, before anything is started", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const { code, output } = await startAndFail({ PORT: String(port), CAMS_DATA_DIR: folder });
    server.close();
    expect(code).toBe(1);
    expect(output.trim()).toBe(`cams cannot start: port ${port} is taken: set PORT to another one`);
    expect(await postgresPid()).toBeUndefined();
  });

  test("a server that does not answer is one clear line and exit code 1", async () => {
    const { code, output } = await startAndFail({ DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none" });
    expect(code).toBe(1);
    expect(output.trim()).toMatch(/^cams cannot start: .*ECONNREFUSED.*$/);
  });

  test("every fault of the configuration is named at once", async () => {
    const { code, output } = await startAndFail({
      DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none",
      DB_POOL_SIZE: "many",
      LOG_LEVEL: "LOUD",
    });
    expect(code).toBe(1);
    expect(output.trim()).toMatch(/^cams cannot start: configuration: DB_POOL_SIZE: .*; LOG_LEVEL: .*$/);
  });
});
