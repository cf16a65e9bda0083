import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Example, runnerFor } from "./support/example.ts";
import { useService } from "./support/service.ts";

const service = useService();
const run = runnerFor(service);

async function startEcho(address = "echo@example", env: Record<string, string> = {}): Promise<Example> {
  const echo = run("echo-agent.ts", [address], env);
  await echo.line(/reported HEALTHY/);
  return echo;
}

/** Stands before the service; `meddle` sees each request first and answers it by itself when it says so. */
async function startProxy(
  meddle: (req: IncomingMessage, res: ServerResponse) => boolean | Promise<boolean>,
): Promise<string> {
  const server = createServer(async (req, res) => {
    const body = await text(req);
    if (await meddle(req, res)) return;
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    const answer = await fetch(service.url + req.url, {
      method: req.method as string,
      headers: { "content-type": "application/json" },
      ...(body && { body }),
      signal: gone.signal,
    }).catch(() => undefined);
    if (answer) res.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function register(address: string): Promise<void> {
  const { status } = await service.post("/v1/agent-inboxes", {
    aiAgentAddress: address,
    inboxDestinationType: "PULL_QUEUE",
  });
  expect(status).toBe(201);
}

async function send(fields: Record<string, unknown>): Promise<string> {
  const { status, body } = await service.post("/v1/messages", { payload: { text: "hello" }, ...fields });
  expect(status).toBe(202);
  return body.messageId;
}

const message = async (id: string) => (await service.get(`/v1/messages/${id}`)).body;
const messagesTo = async (address: string) =>
  (await service.get(`/v1/messages?recipientAddress=${address}`)).body.items;
const inbox = async (address: string) => (await service.get(`/v1/agent-inboxes/${address}`)).body;

describe("ask.ts and echo-agent.ts", () => {
  test("two asks at once each get the reply to their own question, and leave nothing behind", async () => {
    await startEcho();
    const asks = ["one", "two"].map((question) => run("ask.ts", ["echo@example", question]));
    expect(await Promise.all(asks.map(({ ended }) => ended))).toEqual([0, 0]);
    expect(asks[0]?.lines.at(-1)).toMatch(/^ask: echo@example replied after \d+ ms: one$/);
    expect(asks[1]?.lines.at(-1)).toMatch(/^ask: echo@example replied after \d+ ms: two$/);
    await vi.waitFor(async () => {
      const { body } = await service.get("/v1/messages");
      expect(body.items.map(({ status }: { status: string }) => status)).toEqual(Array(4).fill("ACKNOWLEDGED"));
    });
    expect((await service.get("/v1/agent-inboxes")).body.items).toHaveLength(1);
  });

  test("a refusal, a time-out and a wrong CAMS_URL are one clear line and exit code 1", async () => {
    await register("silent@example");
    const cases = [
      [["nobody@example"], {}, /^ask: inbox_not_found: No inbox is registered at nobody@example\.$/],
      [
        ["silent@example"],
        { TIMEOUT_SECONDS: "1" },
        /^ask: no reply from silent@example in 1 s: the question is EXPIRED$/,
      ],
      [[], { CAMS_URL: "http://127.0.0.1:1234" }, /^ask: http:\/\/127\.0\.0\.1:1234 does not answer \(.*ECONNREFUSED/],
      [[], { CAMS_URL: "localhost:8080" }, /^ask: CAMS_URL must be an http or https URL, not localhost:8080$/],
    ] as const;
    for (const [args, env, line] of cases) {
      const ask = run("ask.ts", [...args], env);
      expect(await ask.ended).toBe(1);
      expect(ask.lines.filter((said) => !said.startsWith("ask: asked"))).toEqual([expect.stringMatching(line)]);
    }
    const echo = run("echo-agent.ts", [], { CAMS_URL: "localhost:8080" });
    expect(await echo.ended).toBe(1);
    expect(echo.lines).toEqual(["echo@example: CAMS_URL must be an http or https URL, not localhost:8080"]);
  });

  test("an agent killed between its reply and its acknowledgement replies once", async () => {
    await register("asker@example");
    const doomed = Promise.withResolvers<Example>();
    const url = await startProxy(async (req) => {
      if (!req.url?.endsWith("/ack")) return false;
      (await doomed.promise).kill("SIGKILL");
      return true;
    });
    const first = run("echo-agent.ts", [], { CAMS_URL: url });
    doomed.resolve(first);
    await first.line(/reported HEALTHY/);
    const id = await send({ recipientAddress: "echo@example", senderAddress: "asker@example" });
    expect(await first.ended).toBe("SIGKILL");
    expect(await message(id)).toMatchObject({ status: "LEASED", attempt: 1 });
    expect(await messagesTo("asker@example")).toHaveLength(1);

    // As if the lease had run out.
    await service.sql("update cams.messages set available_at = now() where message_id = $1", [id]);
    const second = await startEcho();
    await second.line(/had replied to asker@example/);
    await second.line(/acknowledged/);
    expect(await message(id)).toMatchObject({ status: "ACKNOWLEDGED", attempt: 2 });
    expect(await messagesTo("asker@example")).toEqual([expect.objectContaining({ inReplyTo: id })]);
  });

  test("SIGTERM: what is in hand is finished, the rest given back, the inbox is INACTIVE, exit code 0", async () => {
    await register("asker@example");
    await register("echo@example");
    const ids: string[] = [];
    for (let i = 0; i < 3; i++)
      ids.push(await send({ recipientAddress: "echo@example", senderAddress: "asker@example" }));
    const stopped = Promise.withResolvers<Example>();
    const url = await startProxy(async (req) => {
      if (req.url === "/v1/messages") {
        (await stopped.promise).kill("SIGTERM");
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return false;
    });
    const echo = run("echo-agent.ts", [], { CAMS_URL: url });
    stopped.resolve(echo);
    expect(await echo.ended).toBe(0);
    expect(echo.lines.filter((line) => /gave back/.test(line))).toHaveLength(2);
    expect(echo.lines.at(-1)).toBe("echo@example: stopped");
    expect(await Promise.all(ids.map(async (id) => (await message(id)).status))).toEqual([
      "ACKNOWLEDGED",
      "QUEUED",
      "QUEUED",
    ]);
    expect(await inbox("echo@example")).toMatchObject({ healthStatus: "UNHEALTHY", status: "INACTIVE" });

    await startEcho();
    await vi.waitFor(async () => expect(await messagesTo("asker@example")).toHaveLength(3), 5000);
  });

  test("an idle agent ends on SIGTERM at once, also when the service is gone", async () => {
    let gone = false;
    const url = await startProxy((req) => {
      if (gone) req.socket.destroy();
      return gone;
    });
    const echo = await startEcho("echo@example", { CAMS_URL: url });
    gone = true;
    const start = performance.now();
    echo.kill("SIGTERM");
    expect(await echo.ended).toBe(0);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test("an agent outlives 503, honours Retry-After, and comes back by itself", async () => {
    let refusals = 0;
    let gone = false;
    const url = await startProxy((req, res) => {
      if (gone) req.socket.destroy();
      else if (refusals > 0) res.writeHead(503, { "retry-after": "2" }).end("<html>busy</html>");
      else return false;
      refusals -= 1;
      return true;
    });
    refusals = 1;
    const echo = run("echo-agent.ts", [], { CAMS_URL: url });
    const refused = await echo.line(/answers 503.*trying again in 2\.\d s/);
    expect((await echo.line(/: registered$/)) - refused).toBeGreaterThan(1900);
    await echo.line(/reported HEALTHY/);

    gone = true;
    // Answers the waiting pull, so that the next one finds nobody.
    await send({ recipientAddress: "echo@example", senderAddress: "me@example", inReplyTo: randomUUID() });
    await echo.line(/does not answer .*trying again/);
    gone = false;
    expect(await run("ask.ts").ended).toBe(0);
  });

  test("two agents do not answer each other for ever", async () => {
    const [a, b] = await Promise.all([startEcho("a@example"), startEcho("b@example")]);
    await send({ recipientAddress: "a@example", senderAddress: "b@example" });
    await a.line(/replied to b@example/);
    await b.line(/acknowledged/);
    expect((await service.get("/v1/messages")).body.items).toHaveLength(2);
  });

  test("a reply that nobody can receive is given back with the reason", async () => {
    await startEcho();
    const id = await send({ recipientAddress: "echo@example", senderAddress: "gone@example" });
    await vi.waitFor(async () => {
      const { attempts } = await message(id);
      expect(attempts[0]).toMatchObject({ outcome: "FAILED", detail: expect.stringMatching(/^inbox_not_found: /) });
    }, 5000);
  });
});

test("the demo ends well, in time, and leaves nothing behind", { timeout: 100_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-examples-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const start = performance.now();
  const demo = run("demo.ts", [], { TMPDIR: folder });
  expect(await demo.ended, demo.lines.join("\n")).toBe(0);
  expect(performance.now() - start).toBeLessThan(90_000);
  for (const line of [
    /ask: ana@example replied after \d+ ms: Are you there\?/,
    /ben@example is SUSPECT, its inbox ACTIVE/,
    /ben@example is OFFLINE, its inbox INACTIVE/,
    /with ifInactive "reject": 409 inbox_inactive/,
    /message …\w{6} is QUEUED/,
    /ben@example is HEALTHY, its inbox ACTIVE/,
    /message …\w{6} is ACKNOWLEDGED/,
    /── All as it should be, in \d+\.\d\d s/,
  ])
    expect(demo.lines).toContainEqual(expect.stringMatching(line));
  expect(await readdir(folder)).toEqual([]);
});

test("an interrupted demo ends what it started, with one line and exit code 1", { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-examples-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const demo = run("demo.ts", [], { TMPDIR: folder });
  await demo.line(/ben@example: reported HEALTHY/);
  demo.kill("SIGINT");
  expect(await demo.ended).toBe(1);
  expect(demo.lines.at(-1)).toBe("demo failed: interrupted by SIGINT");
  expect(await readdir(folder)).toEqual([]);
});
