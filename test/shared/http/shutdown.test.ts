import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { gate, startApp, untilWaiting } from "./app.ts";

const address = "waiting@corp.example";
const inbox = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE" };
const message = { recipientAddress: address, senderAddress: "sender@corp.example", payload: {} };
const pullPath = `/v1/agent-inboxes/${address}/messages/pull`;

test("every waiting request is answered at once with what there is: nothing", async () => {
  const app = await startApp();
  await app.post("/v1/agent-inboxes", inbox);
  const pulls = Array.from({ length: 50 }, () => app.post(pullPath, { waitSeconds: 30 }));
  await untilWaiting(app, 50);
  const start = performance.now();
  await app.close();
  expect(performance.now() - start).toBeLessThan(3000);
  for (const { status, headers, body } of await Promise.all(pulls)) {
    expect(status).toBe(200);
    expect(headers.get("connection")).toBe("close");
    expect(body).toEqual({ messages: [], remaining: 0 });
  }
});

test("a running request goes on to its end, and nobody new comes in", async () => {
  const { opened, open } = gate();
  const arrived = gate();
  const wait = () => {
    arrived.open();
    return opened.then(() => ({ done: true }));
  };
  const app = await startApp({ does: { slow: wait } });
  const slow = app.get("/test/slow");
  await arrived.opened;
  const closed = app.close();
  await delay(50);
  await expect(fetch(`${app.url}/health/live`)).rejects.toThrow("fetch failed");
  open();
  expect(await slow).toMatchObject({ status: 200, body: { done: true } });
  await closed;
});

test("a message that is sent while others wait is either pulled and answered, or still there", async () => {
  const app = await startApp();
  await app.post("/v1/agent-inboxes", inbox);
  const pull = app.post(pullPath, { waitSeconds: 30 });
  await untilWaiting(app, 1);
  // Its connection may be one of those that close.
  const sent = app.post("/v1/messages", message).catch(() => undefined);
  await new Promise(setImmediate);
  let leased: unknown[] = [];
  await app.close(async () => {
    leased = await app.sql("select lease_token is not null as leased from cams.messages");
  });
  const pulled = (await pull).body.messages.length;
  const accepted = (await sent)?.status === 202;
  if (accepted) expect(leased).toEqual([{ leased: pulled === 1 }]);
  else expect(pulled).toBe(0);
});

test("an answer that its reader takes slowly arrives whole", async () => {
  const text = "x".repeat(30_000_000);
  const app = await startApp({ does: { large: async () => ({ text }) } });
  const asked = request(`${app.url}/test/large`).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.pause();
  await delay(50);
  const closed = app.close();
  await delay(100);
  let size = 0;
  for await (const data of answer) size += data.length;
  expect(size).toBe(Number(answer.headers["content-length"]));
  expect(size).toBeGreaterThan(text.length);
  await closed;
});

test("a connection kept open for later requests does not hold it up", async () => {
  const app = await startApp();
  const agent = new Agent({ keepAlive: true });
  const asked = request(`${app.url}/health/live`, { agent }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.resume();
  await once(answer, "end");
  const { port } = app.server.address() as { port: number };
  const silent = connect(port, "127.0.0.1");
  const half = connect(port, "127.0.0.1");
  half.write("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n");
  for (const socket of [silent, half]) {
    socket.on("error", () => {});
    await once(socket, "connect");
  }
  await delay(50);
  const start = performance.now();
  await app.close();
  expect(performance.now() - start).toBeLessThan(3000);
  agent.destroy();
});
