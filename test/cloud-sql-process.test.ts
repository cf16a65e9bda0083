import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, type TestContext, test } from "vitest";
import { client } from "./support/client.ts";
import { IAM_USER, SOON, useInstance, type World } from "./support/cloud-sql-service.ts";
import { run } from "./support/global-setup.ts";

const instance = useInstance();
const script = new URL("./support/cloud-sql-child.ts", import.meta.url).pathname;

/** A service in a process of its own. */
async function startChild({ env }: World, { expect, onTestFinished }: TestContext) {
  const { DATABASE_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [script], {
    env: { ...inherited, AUTH_MODE: "none", LOG_LEVEL: "ERROR", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const ended = once(child, "exit").then(([code, signal]) => [code ?? signal, output]);
  await expect.poll(() => output, SOON).toMatch(/^http:\S+\n/);
  return {
    ...client(output.trim()),
    child,
    /** Has it close, and waits for its end: answers the exit code and all that it printed but its address. */
    async close() {
      child.stdin.end();
      const [code, printed] = await ended;
      return [code, String(printed).replace(/^http:\S+\n/, "")];
    },
  };
}

test.concurrent("a process that has used the database ends by itself once closed", async (context) => {
  const { expect } = context;
  const world = await instance.world(context);
  const service = await startChild(world, context);
  const address = "closing@corp.example";
  const inbox = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE" };
  expect((await service.post("/v1/agent-inboxes", inbox)).status).toBe(201);
  const waiting = service.post(`/v1/agent-inboxes/${address}/messages/pull`, { waitSeconds: 20 });
  await expect.poll(() => world.cloudSql.open(), SOON).toBeGreaterThanOrEqual(2);
  expect(await service.close()).toEqual([0, ""]);
  expect((await waiting).status).toBe(200);
  await expect.poll(() => world.cloudSql.open(), SOON).toBe(0);
});

test.concurrent.for([
  ["never came", 1e6],
  ["comes too late", 1],
] as const)("a process whose certificate %s ends by itself once closed", async ([, failing], context) => {
  const { expect } = context;
  const world = await instance.world(context);
  world.cloudSql.admin.failing = failing;
  const service = await startChild(world, context);
  await expect.poll(() => world.cloudSql.calls(), SOON).toBeGreaterThan(0);
  expect(await service.close()).toEqual([0, ""]);
});

test.concurrent("a process told to end while it connects refuses who waits for that, and ends", async (context) => {
  const { expect } = context;
  const world = await instance.world(context);
  world.cloudSql.front = "refuses";
  const service = await startChild(world, context);
  const waiting = service.get("/health/ready");
  await expect.poll(() => world.cloudSql.knocks(), SOON).toBeGreaterThan(0);
  const closed = service.close();
  expect(await waiting).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  expect(await closed).toEqual([0, ""]);
});

test.concurrent("a process that never connected outlives an Admin API that fails to renew its certificate", async (context) => {
  const { expect } = context;
  const world = await instance.world(context);
  world.cloudSql.certificateSeconds = 242;
  const service = await startChild(world, context);
  await expect.poll(() => world.cloudSql.issued(), SOON).toBe(1);
  const { calls, admin } = world.cloudSql;
  admin.failing = 1e6;
  const before = calls();
  // A call, and three times again, until the connector takes it for failed.
  await expect.poll(calls, SOON).toBe(before + 4);
  await delay(200);
  expect((await service.get("/health/ready")).status).toBe(200);
  service.child.kill("SIGKILL");
});

test("a process thawed after its sessions were ended answers the first request", async (context) => {
  const world = await instance.world(context);
  await run(instance.url(), `alter role "${IAM_USER}" set idle_session_timeout = '500ms'`);
  const service = await startChild(world, context);
  for (let round = 0; round < 3; round++) {
    expect((await service.get("/health/ready")).status).toBe(200);
    service.child.kill("SIGSTOP");
    await delay(1_200);
    const answer = service.get("/health/ready");
    await delay(100);
    service.child.kill("SIGCONT");
    expect((await answer).status).toBe(200);
  }
  await run(instance.url(), `alter role "${IAM_USER}" reset idle_session_timeout`);
  expect(await service.close()).toEqual([0, ""]);
});
