import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test, vi } from "vitest";
import { callsFor } from "./functions/calls.ts";
import { type Example, runnerFor } from "./support/example.ts";
import { useService } from "./support/service.ts";

const service = useService();
const run = runnerFor(service);
const { becomeDue, deliver, inboxOf, messageOf, rotate, sendTo, webhook } = callsFor(service);
const address = "webhook@example";

async function secretFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-webhook-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "secret");
}

/** Starts the agent on a free port; answers it and where it listens. */
async function startAgent(file: string, env: Record<string, string> = {}): Promise<Example & { url: string }> {
  const agent = run("webhook-agent.ts", [], { SECRET_FILE: file, WEBHOOK_PORT: "0", ...env });
  await agent.line(/reported HEALTHY/);
  const [, url = ""] = /registered.* at (\S+)$/m.exec(agent.lines.join("\n")) ?? [];
  return { ...agent, url };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const secretIn = async (file: string) => (await readFile(file, "utf8")).trim();
const received = (agent: Example) => agent.lines.filter((line) => line.includes(": received message"));

/** Calls an agent as CAMS does, signed at `at`; `tampered` is what is sent instead of what was signed. */
async function call(url: string, secret: string, id: string, { at = new Date(), tampered = "" } = {}): Promise<number> {
  const body = JSON.stringify({ id, source: "/v1/agent-inboxes/forger@example", data: { n: 1 } });
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
  return (await fetch(url, { method: "POST", headers, body: tampered || body })).status;
}

test("messages arrive, each is handled once, and nothing that does not verify is", async () => {
  const file = await secretFile();
  const agent = await startAgent(file);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const ids = [await sendTo(address, { payload: { n: 1 } }), await sendTo(address, { payload: { n: 2 } })];
  expect(await deliver()).toEqual({ delivered: 2, failed: 0, deadLettered: 0 });
  for (const [index, id] of ids.entries())
    await agent.line(new RegExp(`received message ${id} from .*: {"n":${index + 1}}$`));

  const secret = await secretIn(file);
  expect(await call(agent.url, secret, "once")).toBe(204);
  expect(await call(agent.url, secret, "once")).toBe(204);
  await agent.line(/had message once already/);
  const long = "x".repeat(3 * 1024 * 1024);
  const wrong = [
    await call(agent.url, secret, "tampered", { tampered: '{"id":"tampered"}' }),
    await call(agent.url, "whsec_b3RoZXI=", "forged"),
    await call(agent.url, secret, "old", { at: new Date(Date.now() - 600_000) }),
    await fetch(agent.url, { method: "POST", body: "{}" }).then(({ status }) => status),
    await fetch(agent.url).then(({ status }) => status),
    await call(agent.url, secret, "long", { tampered: long }),
  ];
  expect(wrong).toEqual([400, 400, 400, 400, 413, 413]);
  expect(received(agent)).toHaveLength(3);
});

test("a restart goes on with the same secret; what came meanwhile was held, and arrives", async () => {
  const file = await secretFile();
  const first = await startAgent(file);
  const secret = await secretIn(file);
  first.kill("SIGTERM");
  expect(await first.ended).toBe(0);
  expect(first.lines.slice(-2)).toEqual([`${address}: reported UNHEALTHY`, `${address}: stopped`]);
  expect(await inboxOf(address)).toMatchObject({ status: "INACTIVE", healthStatus: "UNHEALTHY" });
  const id = await sendTo(address);
  expect(await deliver()).toEqual({ delivered: 0, failed: 0, deadLettered: 0 });

  const second = await startAgent(file);
  expect(second.lines[0]).toMatch(/is registered already/);
  expect(await secretIn(file)).toBe(secret);
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
  expect(received(second)).toHaveLength(1);
  expect(await messageOf(id)).toMatchObject({ status: "DELIVERED", attempt: 1 });
});

test("an agent that was killed gets its messages when it is back, wherever it is then", async () => {
  const file = await secretFile();
  const first = await startAgent(file);
  first.kill("SIGKILL");
  await first.ended;
  const id = await sendTo(address);
  expect(await deliver()).toEqual({ delivered: 0, failed: 1, deadLettered: 0 });
  const second = await startAgent(file);
  expect(second.url).not.toBe(first.url);
  await becomeDue();
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
  expect(await messageOf(id)).toMatchObject({
    attempts: [{ outcome: "FAILED", detail: "the connection was refused" }, { outcome: "DELIVERED" }],
  });
});

test("a secret that was lost is rotated; one that somebody else rotated still verifies", async () => {
  const file = await secretFile();
  const first = await startAgent(file);
  const lost = await secretIn(file);
  first.kill("SIGTERM");
  await first.ended;
  await rm(file);
  const second = await startAgent(file);
  await second.line(/rotated the secret/);
  expect(await secretIn(file)).not.toBe(lost);
  await sendTo(address);
  expect(await deliver()).toMatchObject({ delivered: 1 });

  expect((await rotate(address)).status).toBe(200);
  await sendTo(address);
  expect(await deliver()).toMatchObject({ delivered: 1 });
  expect(received(second)).toHaveLength(2);
});

test("a port that is taken, a service that refuses: one line and exit code 1", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => void taken.close());
  const file = await secretFile();
  const port = String((taken.address() as AddressInfo).port);
  for (const [args, env, line] of [
    [[], { WEBHOOK_PORT: port }, /EADDRINUSE/],
    [["a b"], {}, /POST .*: invalid_request \/aiAgentAddress must be/],
    [[], { WEBHOOK_URL: "ftp://agents.example/inbox" }, /invalid_request \/inboxName must be an https URL/],
  ] as const) {
    const agent = run("webhook-agent.ts", [...args], { SECRET_FILE: file, WEBHOOK_PORT: "0", ...env });
    expect(await agent.ended).toBe(1);
    expect(agent.lines).toEqual([expect.stringMatching(line)]);
  }
});

test("an agent without a service tries again, and ends on SIGTERM", async () => {
  const env = { SECRET_FILE: await secretFile(), CAMS_URL: "http://127.0.0.1:1", WEBHOOK_PORT: "0" };
  const agent = run("webhook-agent.ts", [], env);
  await agent.line(/no answer .*, trying again$/);
  agent.kill("SIGTERM");
  expect(await agent.ended).toBe(0);
  expect(agent.lines.at(-1)).toBe(`${address}: stopped`);
});

test("docs/delivery.md's receiver verifies, and its commands run", async () => {
  const guide = await readFile("docs/delivery.md", "utf8");
  const block = (language: string) => guide.match(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "s"))?.[1] ?? "";
  const port = await freePort();
  const { aiAgentAddress, secret } = await webhook(`http://127.0.0.1:${port}/`, { aiAgentAddress: "bob@example" });
  const program = block("ts").replace("9090", String(port));
  const receiver = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
    env: { ...process.env, SECRET: secret },
  });
  onTestFinished(() => void receiver.kill("SIGKILL"));
  await vi.waitFor(async () => expect(await call(`http://127.0.0.1:${port}/`, secret, "early")).toBe(204), 5000);
  expect(await call(`http://127.0.0.1:${port}/`, secret, "tampered", { tampered: "{}" })).toBe(400);
  await sendTo(aiAgentAddress);
  expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });

  const script = block("sh").replaceAll("localhost:8080", new URL(service.url).host);
  const { stdout } = await promisify(execFile)("bash", ["-euc", script]);
  expect(stdout).toBe('{"items":[]}\n{"redriven":0}\n');
});
