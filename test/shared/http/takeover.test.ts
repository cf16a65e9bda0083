import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Server } from "node:http";
import { setImmediate } from "node:timers/promises";
import { http } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { takeOver, takeOverWhenListening } from "../../../shared/http/takeover.ts";
import type { Answer } from "../../support/client.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { untilWaiting } from "./app.ts";
import { ask, socketPath, startFramework } from "./framework.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const inbox = (aiAgentAddress: string) => JSON.stringify({ aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });

describe("under the framework's command line", () => {
  test("the first request is ours: problem+json to malformed JSON", async () => {
    const socket = await socketPath();
    startFramework("cams", socket, { DATABASE_URL: database.url });
    const answer = await ask(socket, "POST", "/v1/agent-inboxes", "{");
    expect(answer).toMatchObject({ status: 400, body: { code: "malformed_json" } });
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.headers).not.toHaveProperty("x-powered-by");
    expect((await ask(socket, "GET", "/metrics")).body).toMatch(/^cams_takeover_total\{path="server"\} 2$/m);
    expect((await ask(socket, "GET", "/metrics")).body).not.toMatch(/^cams_takeover_total\{path="framework"\} [1-9]/m);
  });

  test("a function of one endpoint serves it, and nothing else", async () => {
    const socket = await socketPath();
    startFramework("inboxes-register", socket, { DATABASE_URL: database.url });
    const answer = await ask(socket, "POST", "/v1/agent-inboxes", inbox("one@corp.example"));
    expect(answer).toMatchObject({ status: 201, headers: { location: "/v1/agent-inboxes/one@corp.example" } });
    expect(await ask(socket, "GET", "/health/live")).toMatchObject({ status: 404, body: { code: "route_not_found" } });
    expect(await ask(socket, "GET", "/favicon.ico")).toMatchObject({ status: 404, body: { code: "route_not_found" } });
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s answers a waiting pull and ends with 0", async (signal) => {
    const socket = await socketPath();
    const { child, ended, lines } = startFramework("cams", socket, { DATABASE_URL: database.url });
    const address = `${signal.toLowerCase()}@corp.example`;
    await ask(socket, "POST", "/v1/agent-inboxes", inbox(address));
    const pull = ask(socket, "POST", `/v1/agent-inboxes/${address}/messages/pull`, '{"waitSeconds":30}');
    await untilWaiting({ get: async (path) => (await ask(socket, "GET", path)) as unknown as Answer }, 1);
    const start = performance.now();
    child.kill(signal);
    expect(await pull).toMatchObject({ status: 200, headers: { connection: "close" }, body: { messages: [] } });
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(lines().filter((line) => line.includes("/messages/pull 200"))).toHaveLength(1);
  });

  test("SIGTERM before any request ends it with 0", async () => {
    const socket = await socketPath();
    const { child, ended } = startFramework("cams", socket, { DATABASE_URL: database.url, NODE_ENV: "test" });
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGTERM");
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  test("a line of the log for each request, in JSON, on standard output", async () => {
    const socket = await socketPath();
    const { child, ended, lines, errors } = startFramework("cams", socket, { DATABASE_URL: database.url });
    for (const path of ["/health/live", "/health/ready", "/nowhere"]) await ask(socket, "GET", path);
    child.kill("SIGTERM");
    await ended;
    // A slow statement has a line too.
    const entries = lines()
      .map((line) => JSON.parse(line))
      .filter(({ httpRequest }) => httpRequest);
    expect(entries.map(({ function: name, outcome }) => [name, outcome])).toEqual([
      ["system-live", "ok"],
      ["system-ready", "ok"],
      ["unrouted", "route_not_found"],
    ]);
    expect(errors()).toBe("");
  });

  test("1 and one line on all interfaces without authentication", async () => {
    const { ended, errors } = startFramework("cams", "0", { DATABASE_URL: database.url });
    expect(await ended).toEqual({ code: 1, signal: null });
    expect(errors()).toMatch(/^configuration: AUTH_MODE: none is refused on an address that is not loopback\n$/);
  });

  test("a function without statements needs no database", async () => {
    const socket = await socketPath();
    startFramework("system-live", socket, {});
    expect((await ask(socket, "GET", "/health/live")).body).toEqual({ status: "live" });
  });

  test("1 and one line where a function with statements has no database", async () => {
    const { ended, errors } = startFramework("system-ready", await socketPath(), {});
    expect(await ended).toEqual({ code: 1, signal: null });
    expect(errors()).toBe("configuration: DATABASE_URL or INSTANCE_CONNECTION_NAME must be set\n");
  });

  test("1 and one line naming every fault of the configuration", async () => {
    const socket = await socketPath();
    const env = { LOG_LEVEL: "LOUD", DB_POOL_SIZE: "0", K_SERVICE: "cams", INSTANCE_CONNECTION_NAME: "p:r:i" };
    const { ended, errors } = startFramework("cams", socket, env);
    expect(await ended).toEqual({ code: 1, signal: null });
    expect(errors()).toMatch(/^configuration: [^\n]*\n$/);
    for (const fault of ["LOG_LEVEL", "DB_POOL_SIZE", "DB_USER must be set", "AUTH_MODE: none is refused on Cloud Run"])
      expect(errors()).toContain(fault);
  });
});

describe("what the framework must go on doing", () => {
  http("takeover-test", (_req, res) => void res.end("the framework's"));

  test("its server has one listener, the Express app by its shape", () => {
    const server = getTestServer("takeover-test");
    const listeners = server.listeners("request");
    expect(server).toBeInstanceOf(Server);
    expect(listeners).toHaveLength(1);
    expect(listeners[0]).toHaveProperty("handle", expect.any(Function));
    expect(listeners[0]).toHaveProperty("settings", expect.any(Object));
  });

  test("the channel of Node hands out each server when it listens, before any listener is told", async () => {
    const seen: unknown[] = [];
    const onListen = (message: unknown) => void seen.push((message as { server: unknown }).server);
    subscribe("tracing:net.server.listen:asyncEnd", onListen);
    const server = getTestServer("takeover-test");
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        seen.push("told");
        resolve();
      });
    });
    unsubscribe("tracing:net.server.listen:asyncEnd", onListen);
    server.close();
    expect(seen).toEqual([server, "told"]);
  });

  test("it is told after `taken` was called, and before the next turn of the event loop", async () => {
    const order: string[] = [];
    takeOverWhenListening(
      async (_req, res) => void res.end("ours"),
      async () => {
        order.push("taken");
        await setImmediate();
        order.push("next turn");
      },
    );
    const server = getTestServer("takeover-test");
    // In this callback the framework's command line registers its signal handlers.
    const told = new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        order.push("told");
        resolve();
      });
    });
    await told;
    await setImmediate();
    const { port } = server.address() as { port: number };
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("ours");
    expect(order).toEqual(["taken", "told", "next turn"]);
    server.close();
  });

  test("without a take-over its own path serves the function", async () => {
    const server = getTestServer("takeover-test");
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("the framework's");
    server.close();
  });

  test("a server that is not Express is left alone", async () => {
    const taken: unknown[] = [];
    takeOverWhenListening(
      async (_req, res) => void res.end("ours"),
      (server) => taken.push(server),
    );
    const other = new Server((_req, res) => void res.end("another's"));
    await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("another's");
    other.close();
    const server = getTestServer("takeover-test");
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    expect(taken).toEqual([server]);
    server.close();
  });
});

test("408 to a request that does not come to its end in time", async () => {
  const server = new Server();
  takeOver(server, async () => {});
  const written: string[] = [];
  const socket = { writable: true, end: (text: string) => written.push(text) };
  server.emit("clientError", Object.assign(new Error(), { code: "ERR_HTTP_REQUEST_TIMEOUT" }), socket);
  expect(written[0]).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
});
