import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Example, runnerFor } from "./support/example.ts";
import { makerFor } from "./support/make.ts";
import { useService } from "./support/service.ts";

const service = useService();
const run = runnerFor(service);
const make = makerFor(service);

async function startWorker(args: string[] = [], env: Record<string, string> = {}): Promise<Example> {
  const worker = run("worker-agent.ts", ["--id", "w", ...args], { LEASE_SECONDS: "5", ...env });
  await worker.line(/^w: reported HEALTHY$/);
  return worker;
}

async function submit(type: string, payload: object = {}, path = "/v1/agents/w/tasks"): Promise<string> {
  const { status, body } = await service.post(path, { type, payload });
  expect(status).toBe(202);
  return body.taskId;
}

const task = async (id: string) => (await service.get(`/v1/tasks/${id}`)).body;
const becomes = (id: string, state: string, timeout = 8000) =>
  vi.waitFor(async () => expect(await task(id)).toMatchObject({ state }), { timeout, interval: 50 });
const agent = async () => (await service.get("/v1/agents/w")).body;
const command = async (verb: string) => expect((await service.post(`/v1/agents/w/${verb}`, {})).status).toBe(200);
const states = async () =>
  (await service.get("/v1/agents/w/history")).body.items.map(({ to }: { to: string }) => to).reverse();

test("tasks of its queue and of its definition's pool end as their handlers do, with result, error and attempts", async () => {
  const { id } = await make.published();
  await startWorker(["--definition", id, "--concurrency", "2"]);
  expect(await agent()).toMatchObject({ state: "RUNNING", definition: { id, version: "1.0.0" } });
  expect(await agent()).toMatchObject({ config: { maxConcurrentTasks: 2, heartbeatIntervalSeconds: 60 } });
  const sum = await submit("sum", { numbers: [1, 2, 39] }, `/v1/definitions/${id}/tasks`);
  const stumbles = await submit("fail", { times: 1 });
  const [wrong, hopeless, unknown] = [
    await submit("sum"),
    await submit("fail", { hopeless: true }),
    await submit("fly"),
  ];
  await becomes(stumbles, "COMPLETED");
  expect(await task(stumbles)).toMatchObject({
    result: { succeededInAttempt: 2 },
    attempts: [{ outcome: "FAILED", detail: "it was asked to" }, { outcome: "COMPLETED" }],
  });
  expect(await task(sum)).toMatchObject({ state: "COMPLETED", agentId: "w", result: { sum: 42 } });
  const failed = [wrong, hopeless, unknown].map(async (id) => {
    const { state, attempt, error } = await task(id as string);
    return [state, attempt, error.message];
  });
  expect(await Promise.all(failed)).toEqual([
    ["FAILED", 1, "payload.numbers must be a list"],
    ["FAILED", 1, "it was asked to"],
    ["FAILED", 1, "w has no handler for fly"],
  ]);
});

test("a task longer than its lease stays in its hand, and says how far it is; one that is cancelled is let go", async () => {
  const worker = await startWorker(["--concurrency", "1"]);
  const long = await submit("wait", { seconds: 5.5 });
  await vi.waitFor(async () => expect((await task(long)).progress).toEqual({ message: "waits for 5.5 s" }), 5000);
  await becomes(long, "COMPLETED");
  expect(await task(long)).toMatchObject({ attempt: 1, attempts: [{ outcome: "COMPLETED" }] });

  const endless = await submit("wait", { seconds: 3600 });
  await becomes(endless, "WORKING");
  expect((await service.post(`/v1/tasks/${endless}/cancel`, {})).status).toBe(200);
  await worker.line(new RegExp(`loses wait ${endless}: task_finished`));
  await becomes(await submit("sum", { numbers: [] }), "COMPLETED");
});

test("paused it claims nothing, resumed and started it goes on, and what a stop takes back it lets go", async () => {
  // Told, it looks at once: its next renewal would be in 100 s.
  const worker = await startWorker([], { LEASE_SECONDS: "300" });
  const endless = await submit("wait", { seconds: 3600 });
  await becomes(endless, "WORKING");
  await command("pause");
  await worker.line(/cannot claim: agent_not_running: The agent w is PAUSED/);
  const waiting = await submit("sum", { numbers: [] });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect([(await task(waiting)).state, (await task(endless)).state]).toEqual(["SUBMITTED", "WORKING"]);
  await command("resume");
  await becomes(waiting, "COMPLETED", 4000);

  await command("stop");
  await worker.line(new RegExp(`loses wait ${endless}: lease_expired`));
  expect(await task(endless)).toMatchObject({ state: "SUBMITTED", attempt: 0 });
  await command("start");
  await becomes(endless, "WORKING", 4000);
});

test("told to drain it ends what it has in hand, and claims nothing more until it is started", async () => {
  const worker = await startWorker();
  const [last, next] = [await submit("wait", { seconds: 1.5 }), await submit("wait", { seconds: 3600 })];
  for (const id of [last, next]) await becomes(id, "WORKING");
  expect((await service.post("/v1/agents/w/stop", { drain: true })).body.state).toBe("DRAINING");
  await becomes(last, "COMPLETED");
  expect((await agent()).state).toBe("DRAINING");
  await service.post(`/v1/tasks/${next}/cancel`, {});
  await vi.waitFor(async () => expect((await agent()).state).toBe("STOPPED"), 5000);
  await command("start");
  await becomes(await submit("sum", { numbers: [] }), "COMPLETED");
  expect(worker.lines).not.toContain("w: stopped");
});

test("on SIGTERM it ends what it has in hand, is STOPPED and UNHEALTHY, and exits with 0; then it starts again", async () => {
  const worker = await startWorker(["--concurrency", "2"]);
  const inHand = [await submit("wait", { seconds: 1 }), await submit("wait", { seconds: 1.8 })];
  for (const id of inHand) await becomes(id, "WORKING");
  const waiting = await submit("wait", { seconds: 0.1 });
  worker.kill("SIGTERM");
  expect(await worker.ended).toBe(0);
  expect(worker.lines.slice(-2)).toEqual(["w: reported UNHEALTHY", "w: stopped"]);
  for (const id of inHand) expect((await task(id)).state).toBe("COMPLETED");
  expect((await task(waiting)).state).toBe("SUBMITTED");
  expect(await agent()).toMatchObject({ state: "STOPPED", stateReason: "drained", healthStatus: "UNHEALTHY" });

  const second = await startWorker();
  await becomes(waiting, "COMPLETED");
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
  expect(await states()).toEqual(["CREATED", "RUNNING", "DRAINING", "STOPPED", "RUNNING", "DRAINING", "STOPPED"]);
});

test("after SIGKILL its next process takes back what was in hand, with the definition that is current then", async () => {
  const { id } = await make.published();
  const first = await startWorker(["--definition", id]);
  const held = await submit("wait", { seconds: 1 });
  await becomes(held, "WORKING");
  first.kill("SIGKILL");
  await first.ended;
  await make.published({ metadata: { id, version: "1.1.0" } });
  await startWorker(["--definition", id]);
  await becomes(held, "COMPLETED");
  expect(await task(held)).toMatchObject({
    definitionVersion: "1.1.0",
    attempt: 1,
    attempts: [{ outcome: "INTERRUPTED", definitionVersion: "1.0.0" }, { outcome: "COMPLETED" }],
  });
  expect(await states()).toEqual(["CREATED", "RUNNING", "STOPPED", "RUNNING"]);
});

test("found FAILED it starts by itself; found PAUSED it stays so, and is stopped at its end", async () => {
  await startWorker().then(async (worker) => {
    await service.sql(
      "update cams.agent_inboxes set expected_by = now() - interval '1 hour', sweep_after = now() - interval '1 hour'",
    );
    expect((await service.post("/v1/agent-health-sweep")).body).toMatchObject({ offline: 1 });
    expect((await agent()).state).toBe("FAILED");
    await vi.waitFor(async () => expect((await agent()).state).toBe("RUNNING"), 8000);
    worker.kill("SIGKILL");
    await worker.ended;
  });
  await command("pause");
  const paused = await startWorker();
  expect((await agent()).state).toBe("PAUSED");
  expect(paused.lines.join()).not.toContain("could not");
  paused.kill("SIGTERM");
  expect(await paused.ended).toBe(0);
  expect((await agent()).state).toBe("STOPPED");
});

test("what it cannot start with is one line and exit code 1", async () => {
  for (const [args, env, line] of [
    [["--definition", "nobody"], {}, /^w: cannot register: definition_not_found: /],
    [["--id", "No slug"], {}, /^No slug: cannot register: invalid_request: /],
    [[], { CAMS_URL: "localhost:8080" }, /^w: CAMS_URL must be an http or https URL, not localhost:8080$/],
  ] as const) {
    const worker = run("worker-agent.ts", ["--id", "w", ...args], env);
    expect(await worker.ended).toBe(1);
    expect(worker.lines).toEqual([expect.stringMatching(line)]);
  }
});

test("the demo of the pool ends well and leaves nothing behind", { timeout: 100_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-examples-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const demo = run("demo-pool.ts", [], { TMPDIR: folder });
  expect(await demo.ended, demo.lines.join("\n")).toBe(0);
  for (const line of [
    /[1-4] tasks are in dead hands/,
    /count \d\.\d: LEASE_EXPIRED by ana, then COMPLETED by ben/,
    /40 tasks are COMPLETED, each once: [1-9]\d* by ana before it died/,
    /last 2: COMPLETED by ben/,
    /── All as it should be, in \d+\.\d\d s/,
  ])
    expect(demo.lines).toContainEqual(expect.stringMatching(line));
  expect(await readdir(folder)).toEqual([]);
});
