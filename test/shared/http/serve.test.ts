import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { exchange } from "../../contract/wire.ts";
import type { Answer } from "../../support/client.ts";
import { gate, startApp, type TestApp, untilWaiting } from "./app.ts";

const address = "waiting@corp.example";
const inbox = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE" };
const message = { recipientAddress: address, senderAddress: "sender@corp.example", payload: {} };
const pullPath = `/v1/agent-inboxes/${address}/messages/pull`;
const overloaded = { status: 503, body: { code: "overloaded" } };

async function timed<T>(work: Promise<T>): Promise<{ answer: T; milliseconds: number }> {
  const start = performance.now();
  const answer = await work;
  return { answer, milliseconds: performance.now() - start };
}

/** A pull that waits, and whose caller hangs up. */
function hangingPull({ url }: TestApp) {
  const asked = request(url + pullPath, { method: "POST", headers: { "content-type": "application/json" } });
  asked.on("error", () => {});
  asked.end('{"waitSeconds":20}');
  return { hangUp: () => asked.destroy() };
}

describe("as many requests as it may", () => {
  test("503 overloaded with Retry-After to one more, and work again when one has ended", async () => {
    const { opened, open } = gate();
    const app = await startApp({ env: { MAX_REQUESTS: "1" }, does: { slow: () => opened } });
    const slow = app.get("/test/slow");
    await delay(50);
    const refused = await app.get("/health/live");
    expect(refused).toMatchObject(overloaded);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    open();
    expect((await slow).status).toBe(200);
    expect((await app.get("/health/live")).status).toBe(200);
  });

  test("those that wait do not count as those that work", async () => {
    const app = await startApp({ env: { MAX_REQUESTS: "2" } });
    await app.post("/v1/agent-inboxes", inbox);
    const pulls: Promise<Answer>[] = [];
    while (pulls.length < 3) {
      pulls.push(app.post(pullPath, { maxMessages: 1, waitSeconds: 20 }));
      await untilWaiting(app, pulls.length);
    }
    expect((await app.get(`/v1/agent-inboxes/${address}`)).status).toBe(200);
    for (const _ of pulls) await app.post("/v1/messages", message);
    const answers = await Promise.all(pulls);
    expect(answers.map(({ body }) => body.messages.length)).toEqual([1, 1, 1]);
  });

  test("503 overloaded to one more that would wait, and not to one that does not", async () => {
    const app = await startApp({ env: { MAX_WAITERS: "1" } });
    await app.post("/v1/agent-inboxes", inbox);
    const first = app.post(pullPath, { waitSeconds: 20 });
    await untilWaiting(app, 1);
    const second = await app.post(pullPath, { waitSeconds: 20 });
    expect(second).toMatchObject(overloaded);
    expect(Number(second.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await app.post(pullPath, {})).status).toBe(200);
    await app.post("/v1/messages", message);
    expect((await first).body.messages).toHaveLength(1);
    expect((await app.post(pullPath, { waitSeconds: 1 })).status).toBe(200);
  });

  test("a caller that hangs up makes room", async () => {
    const app = await startApp({ env: { MAX_WAITERS: "1" } });
    await app.post("/v1/agent-inboxes", inbox);
    const { hangUp } = hangingPull(app);
    await untilWaiting(app, 1);
    hangUp();
    await untilWaiting(app, 0);
    expect((await app.post(pullPath, { waitSeconds: 1 })).status).toBe(200);
  });
});

describe("a deadline of Cloud Run's 2 seconds", () => {
  const env = { CLOUD_RUN_TIMEOUT_SECONDS: "2" };

  test("is kept by a waiting pull, and no message is lost by it", async () => {
    const app = await startApp({ env });
    await app.post("/v1/agent-inboxes", inbox);
    const { answer, milliseconds } = await timed(app.post(pullPath, { waitSeconds: 20 }));
    expect(milliseconds).toBeLessThan(2000);
    expect([200, 503]).toContain(answer.status);
    await app.post("/v1/messages", message);
    expect((await app.post(pullPath, {})).body.messages).toHaveLength(1);
  });

  test("is kept by a function that takes longer: 503 deadline_exceeded, and its signal aborts", async () => {
    const signals: AbortSignal[] = [];
    const slow = (signal: AbortSignal) => {
      signals.push(signal);
      return delay(5000, undefined, { signal });
    };
    const app = await startApp({ env, does: { slow } });
    const { answer, milliseconds } = await timed(app.get("/test/slow"));
    expect(milliseconds).toBeLessThan(2000);
    expect(answer).toMatchObject({ status: 503, body: { code: "deadline_exceeded" } });
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(signals[0]?.aborted).toBe(true);
  });

  test("is kept for a reader that does not read: it is cut off, and makes room", async () => {
    const large = async () => ({ text: "x".repeat(30_000_000) });
    const app = await startApp({ env: { ...env, MAX_REQUESTS: "1" }, does: { large } });
    const asked = request(`${app.url}/test/large`).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    answer.pause();
    expect(await app.get("/health/live")).toMatchObject(overloaded);
    await delay(1500);
    expect((await app.get("/health/live")).status).toBe(200);
    answer.resume();
    await expect(once(answer, "end")).rejects.toThrow("aborted");
  });

  test("is kept for a body that does not come", async () => {
    const app = await startApp({ env });
    const head =
      "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    const { answer, milliseconds } = await timed(exchange(app.url, [head]));
    expect(milliseconds).toBeLessThan(2000);
    expect(answer.answers).toMatchObject([{ status: 503, body: { code: "deadline_exceeded" } }]);
  });
});

describe("a caller that hangs up while it waits", () => {
  test("takes no message with it that comes later", async () => {
    const app = await startApp();
    await app.post("/v1/agent-inboxes", inbox);
    const { hangUp } = hangingPull(app);
    await untilWaiting(app, 1);
    hangUp();
    await untilWaiting(app, 0);
    await app.post("/v1/messages", message);
    const { answer, milliseconds } = await timed(app.post(pullPath, { waitSeconds: 5 }));
    expect(answer.body.messages).toMatchObject([{ attempt: 1 }]);
    expect(milliseconds).toBeLessThan(500);
  });

  test("takes no message with it that comes at that very moment, unless it was answered", async () => {
    const app = await startApp();
    await app.post("/v1/agent-inboxes", inbox);
    const pulls = async (status: number) => {
      const { body } = await app.get("/metrics");
      const line = `cams_requests_total{function="messages-pull",method="POST",status="${status}"} `;
      return Number(body.split(line)[1]?.split("\n")[0] ?? 0);
    };
    let taken = 0;
    for (let i = 0; i < 40; i++) {
      const [answered, gone] = [await pulls(200), await pulls(499)];
      const { hangUp } = hangingPull(app);
      await untilWaiting(app, 1);
      const sent = app.post("/v1/messages", message);
      await delay(i / 10);
      hangUp();
      await sent;
      await vi.waitFor(async () => expect((await pulls(200)) + (await pulls(499))).toBe(answered + gone + 1));
      if ((await pulls(499)) > gone) {
        taken += 1;
        await vi.waitFor(async () => expect((await app.post(pullPath, {})).body.messages).toHaveLength(1), 500);
      }
      await app.sql("delete from cams.messages");
    }
    expect(taken).toBeGreaterThan(0);
  });
});

test("500 that says nothing of its cause, whatever goes wrong", async () => {
  const does = {
    throws: () => Promise.reject(new Error("secret of ours")),
    nothing: () => Promise.reject(undefined),
    unsayable: async () => ({ number: 1n }),
    circular: async () => {
      const circle = { itself: {} };
      circle.itself = circle;
      return circle;
    },
  };
  const app = await startApp({ does });
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    for (const name of Object.keys(does)) {
      const answer = await app.get(`/test/${name}`);
      expect(answer, name).toMatchObject({ status: 500, body: { code: "internal" } });
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|BigInt|circular/i);
    }
    const lines = write.mock.calls.map(([line]) => String(line));
    expect(lines.filter((line) => /"severity":"ERROR".*stack_trace.*secret of ours/.test(line))).toHaveLength(1);
  } finally {
    write.mockRestore();
  }
});
