import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exchange } from "../../contract/wire.ts";
import { startApp } from "./app.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const parent = `00-${traceId}-b7ad6b7169203331-01`;
const inbox = { aiAgentAddress: "Logged@Corp.example", inboxDestinationType: "PULL_QUEUE" };
const message = { recipientAddress: "logged@corp.example", senderAddress: "sender@corp.example" };

let written: string[];
beforeEach(() => {
  written = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

/** The lines of requests, in order. */
// biome-ignore lint/suspicious/noExplicitAny: what is in them is what a test asserts
const lines = (): any[] =>
  written
    .filter((text) => text.startsWith("{"))
    .map((text) => JSON.parse(text))
    .filter(({ httpRequest }) => httpRequest);

const env = { LOG_LEVEL: "INFO", GOOGLE_CLOUD_PROJECT: "test-project" };

test("one line for each request, with everything that is known of it", async () => {
  const app = await startApp({ env });
  const headers = {
    "x-request-id": "r-1",
    traceparent: parent,
    "user-agent": "tester/1",
    "function-execution-id": "e-1",
  };
  await app.post("/v1/agent-inboxes", inbox, headers);
  expect(lines()).toEqual([
    {
      severity: "INFO",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      message: "POST /v1/agent-inboxes 201",
      httpRequest: {
        requestMethod: "POST",
        requestUrl: "/v1/agent-inboxes",
        status: 201,
        latency: expect.stringMatching(/^\d+\.\d{6}s$/),
        userAgent: "tester/1",
        remoteIp: "127.0.0.1",
      },
      "logging.googleapis.com/trace": `projects/test-project/traces/${traceId}`,
      "logging.googleapis.com/spanId": expect.stringMatching(/^[0-9a-f]{16}$/),
      "logging.googleapis.com/trace_sampled": true,
      function: "inboxes-register",
      requestId: "r-1",
      principal: "local",
      address: "logged@corp.example",
      executionId: "e-1",
      outcome: "ok",
      milliseconds: expect.any(Number),
      databaseMilliseconds: expect.any(Number),
      statements: 1,
    },
  ]);
  expect(lines()[0].databaseMilliseconds).toBeLessThanOrEqual(lines()[0].milliseconds);
});

test("a refusal's line tells its code; no payload is in any line", async () => {
  const app = await startApp({ env: { LOG_LEVEL: "DEBUG" } });
  const secret = "a secret of the payload";
  await app.get("/nowhere");
  await app.raw("PATCH", "/v1/messages", undefined);
  await app.raw("POST", "/v1/messages", `{"${secret}`, { "content-type": "application/json" });
  await app.post("/v1/messages", { ...message, payload: secret });
  await app.post("/v1/messages", { ...message, payload: { secret } });
  await app.post("/v1/agent-inboxes", inbox);
  await app.post("/v1/messages", { ...message, payload: { secret }, metadata: { secret } });
  await app.post("/v1/agent-inboxes/logged@corp.example/messages/pull", {});
  const told = lines().map(({ function: name, outcome, severity }) => [name, outcome, severity]);
  expect(told).toEqual([
    ["unrouted", "route_not_found", "INFO"],
    ["unrouted", "method_not_allowed", "INFO"],
    ["messages-send", "malformed_json", "INFO"],
    ["messages-send", "invalid_request", "INFO"],
    ["messages-send", "inbox_not_found", "INFO"],
    ["inboxes-register", "ok", "INFO"],
    ["messages-send", "ok", "INFO"],
    ["messages-pull", "ok", "INFO"],
  ]);
  expect(written.join("")).not.toContain("secret of the payload");
});

test("a caller that hangs up has a line with 499", async () => {
  const app = await startApp({ env });
  await app.post("/v1/agent-inboxes", inbox);
  const head =
    "POST /v1/agent-inboxes/logged@corp.example/messages/pull HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const body = '{"waitSeconds":20}';
  await exchange(app.url, [`${head}Content-Length: ${body.length}\r\n\r\n${body}`, 100], { end: "reset" });
  await vi.waitFor(() =>
    expect(lines().at(-1)).toMatchObject({
      function: "messages-pull",
      outcome: "caller_gone",
      httpRequest: { status: 499 },
    }),
  );
});

test("a request that is given up has its lines too", async () => {
  const slow = (signal: AbortSignal) => delay(5000, undefined, { signal });
  const app = await startApp({ env: { ...env, CLOUD_RUN_TIMEOUT_SECONDS: "2" }, does: { slow } });
  const { body } = await app.get("/test/slow");
  const known = { severity: "WARNING", function: "test-slow", requestId: body.requestId };
  expect(lines()).toMatchObject([{ ...known, outcome: "deadline_exceeded" }]);
});

test("a request that fails has an error's line with the stack, and one of its own", async () => {
  const app = await startApp({ env, does: { fail: () => Promise.reject(new Error("why")) } });
  const { body } = await app.get("/test/fail");
  const error = written
    .map((text) => (text.startsWith("{") ? JSON.parse(text) : {}))
    .find(({ severity }) => severity === "ERROR");
  expect(error).toMatchObject({ requestId: body.requestId, function: "test-fail", error: { message: "why" } });
  expect(error.stack_trace).toContain("log.test.ts");
  expect(lines()).toMatchObject([{ severity: "WARNING", outcome: "internal", httpRequest: { status: 500 } }]);
});

test("no line is written for what LOG_LEVEL leaves out", async () => {
  const app = await startApp({ env: { LOG_LEVEL: "WARNING" } });
  await app.get("/health/live");
  await app.get("/nowhere");
  expect(lines()).toEqual([]);
});

test("the transport of Google's library writes the lines once the first answer is out", async () => {
  const app = await startApp({ env: { ...env, LOG_TRANSPORT: "google" } });
  await app.get("/health/live");
  await app.get("/health/ready");
  await vi.waitFor(
    () => expect(lines().map(({ message }) => message)).toEqual(["GET /health/live 200", "GET /health/ready 200"]),
    5000,
  );
});

describe("X-Request-Id", () => {
  test("is the caller's when it is a sane one, else a new one, and stands in the problem", async () => {
    const app = await startApp();
    for (const [given, kept] of [
      ["r-1", true],
      ["x".repeat(128), true],
      ["x".repeat(129), false],
      ["a b", false],
      ["é", false],
    ] as const) {
      const { headers, body } = await app.get("/nowhere", { "x-request-id": given });
      const id = headers.get("x-request-id");
      expect(id === given, given).toBe(kept);
      if (!kept) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(body.requestId).toBe(id);
    }
  });
});

describe("traceparent", () => {
  test("is stored on the message with the caller's trace and a span of ours", async () => {
    const app = await startApp();
    await app.post("/v1/agent-inboxes", inbox);
    const send = (headers: Record<string, string>) => app.post("/v1/messages", { ...message, payload: {} }, headers);
    for (const flags of ["00", "01"]) {
      await send({ traceparent: parent.slice(0, -2) + flags });
      const { body } = await app.post("/v1/agent-inboxes/logged@corp.example/messages/pull", {});
      expect(body.messages[0].traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-${flags}$`));
      expect(body.messages[0].traceparent).not.toContain("b7ad6b7169203331");
    }
  });

  test("is not stored when there is none, or it is none", async () => {
    const app = await startApp();
    await app.post("/v1/agent-inboxes", inbox);
    for (const headers of [{}, { traceparent: "00-0-0-00" }, { traceparent: `${parent}-more` }] as Record<
      string,
      string
    >[])
      await app.post("/v1/messages", { ...message, payload: {} }, headers);
    const { body } = await app.post("/v1/agent-inboxes/logged@corp.example/messages/pull", {});
    expect(body.messages).toHaveLength(3);
    for (const pulled of body.messages) expect(pulled).not.toHaveProperty("traceparent");
  });
});
