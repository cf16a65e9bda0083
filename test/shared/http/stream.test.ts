import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import * as z from "zod";
import { listen } from "../../../scripts/listen.ts";
import { Problem } from "../../../shared/errors.ts";
import { defineEndpoint } from "../../../shared/http/endpoint.ts";
import { pour, whileAllowed } from "../../../shared/http/stream.ts";
import { gate, startApp, untilWaiting } from "./app.ts";

type Source = (signal: AbortSignal) => AsyncIterable<string> | Promise<AsyncIterable<string>>;

/** `GET /test/{name}` streams what the source yields. */
const streaming = (name: string, source: Source, timeoutSeconds = 60) =>
  defineEndpoint({
    name: `test-${name}`,
    method: "GET",
    path: `/test/${name}`,
    summary: "Streams",
    role: "public",
    status: 200,
    returns: z.custom<AsyncIterable<string>>().meta({ override: { type: "string" } }),
    contentType: "text/event-stream",
    errors: [],
    runtime: { timeoutSeconds },
    handler: async ({ signal }) => source(signal),
  });

/** One piece, and then nothing until the signal aborts; `left` says that the source has let go. */
function endless() {
  const left = gate();
  async function* source(signal: AbortSignal) {
    try {
      yield ":\n\n";
      if (!signal.aborted) await once(signal, "abort");
    } finally {
      left.open();
    }
  }
  return { source, left: left.opened };
}

/** Asks, and answers when the head is there. */
async function asking(url: string) {
  const asked = request(url, { agent: false }).end();
  asked.on("error", () => {});
  onTestFinished(() => void asked.destroy());
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.on("error", () => {});
  const ended = new Promise<boolean>((resolve) => answer.once("close", () => resolve(answer.complete)));
  return { asked, answer, ended };
}

afterEach(() => vi.restoreAllMocks());

describe("the answer", () => {
  test("has its head before the first piece, each piece when there is one, and an end", async () => {
    const steps = [gate(), gate()];
    async function* source() {
      await steps[0]?.opened;
      yield "one";
      await steps[1]?.opened;
      yield "two";
    }
    const app = await startApp({ own: [streaming("steps", source)] });
    const { answer, ended } = await asking(`${app.url}/test/steps`);
    expect(answer.statusCode).toBe(200);
    for (const [n, expected] of ["one", "two"].entries()) {
      steps[n]?.open();
      expect(String((await once(answer, "data"))[0])).toBe(expected);
    }
    expect(await ended).toBe(true);
  });

  test("is the same through the framework's own path", async () => {
    let step = gate();
    async function* source() {
      yield "one";
      await step.opened;
      yield "two";
    }
    const app = await startApp({ own: [streaming("express", source)] });
    const express = getTestServer("test");
    onTestFinished(() => void express.close());
    const answers = [];
    for (const url of [app.url, await listen(express, "127.0.0.1", 0)]) {
      step = gate();
      const { answer, ended } = await asking(`${url}/test/express`);
      const [first] = await once(answer, "data");
      step.open();
      const [second] = await once(answer, "data");
      const { date: _, "x-request-id": __, ...headers } = answer.headers;
      answers.push({ pieces: `${first}|${second}`, complete: await ended, headers });
    }
    expect(answers[0]).toMatchObject({ pieces: "one|two", complete: true });
    expect(answers[1]).toEqual(answers[0]);
  });

  test("is a problem when the handler fails before the head", async () => {
    const fail = () => Promise.reject(new Problem("inbox_inactive", "No."));
    const app = await startApp({ own: [streaming("failing", fail)] });
    const answer = await fetch(`${app.url}/test/failing`);
    expect(answer.status).toBe(409);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
  });

  test("is cut off when the source fails in the middle, and that is logged in the one line", async () => {
    async function* source() {
      yield "one";
      await delay(10);
      throw new Error("broken");
    }
    const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const app = await startApp({ env: { LOG_LEVEL: "INFO" }, own: [streaming("breaking", source)] });
    const { answer, ended } = await asking(`${app.url}/test/breaking`);
    let text = "";
    answer.on("data", (data) => (text += data));
    expect(await ended).toBe(false);
    expect(text).toBe("one");
    const lines = written.mock.calls.flatMap(([line]) => String(line).match(/.*GET \/test\/breaking.*/g) ?? []);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] as string)).toMatchObject({ outcome: "internal", httpRequest: { status: 500 } });
  });
});

describe("it ends", () => {
  test("at its deadline, with a complete body", async () => {
    const { source, left } = endless();
    const app = await startApp({ own: [streaming("endless", source, 1)] });
    const { answer, ended } = await asking(`${app.url}/test/endless`);
    answer.resume();
    expect(await ended).toBe(true);
    await left;
    await untilWaiting(app, 0);
  });

  test("a second before the platform's limit", async () => {
    const { source } = endless();
    const app = await startApp({ env: { CLOUD_RUN_TIMEOUT_SECONDS: "2" }, own: [streaming("endless", source, 3600)] });
    const { answer, ended } = await asking(`${app.url}/test/endless`);
    answer.resume();
    expect(await ended).toBe(true);
  });

  test("when the process is to end, with a complete body, though its source does not care", async () => {
    const polite = endless();
    async function* deaf() {
      yield ":\n\n";
      await new Promise(() => {});
    }
    const app = await startApp({ own: [streaming("polite", polite.source), streaming("deaf", deaf)] });
    const both = [await asking(`${app.url}/test/polite`), await asking(`${app.url}/test/deaf`)];
    for (const { answer } of both) answer.resume();
    await untilWaiting(app, 2);
    const start = performance.now();
    await app.close();
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([true, true]);
    // Whoever has to be cut off is cut off after 8 s.
    expect(performance.now() - start).toBeLessThan(5000);
    await polite.left;
  });

  test("when its reader is gone, and nothing is left that waits", async () => {
    const { source, left } = endless();
    const app = await startApp({ own: [streaming("endless", source)] });
    const { asked } = await asking(`${app.url}/test/endless`);
    await untilWaiting(app, 1);
    asked.destroy();
    await left;
    await untilWaiting(app, 0);
  });
});

describe("a slow reader", () => {
  test("is not read ahead of, and gets everything in order", async () => {
    let made = 0;
    async function* source() {
      for (; made < 2000; made++) yield `${String(made).padStart(8, "0")}${"x".repeat(65_528)}`;
    }
    const app = await startApp({ own: [streaming("much", source)] });
    const { answer, ended } = await asking(`${app.url}/test/much`);
    await delay(500);
    const ahead = made;
    // What the sockets' own buffers hold, some megabytes of 131.
    expect(ahead).toBeLessThan(500);
    await delay(200);
    expect(made).toBe(ahead);
    let at = 0;
    let [expected, head] = [0, ""];
    for await (const data of answer) {
      for (let n = (65_536 - (at % 65_536)) % 65_536; n < data.length; n += 65_536) {
        head = data.subarray(n, n + 8).toString();
        if (head.length === 8) expect(Number(head)).toBe((at + n) / 65_536);
        expected = (at + n) / 65_536;
      }
      at += data.length;
    }
    expect([at, expected, await ended]).toEqual([2000 * 65_536, 1999, true]);
  });

  test("that takes nothing for too long is given up; one that takes a little is not", async () => {
    const over: string[] = [];
    async function* source() {
      for (;;) yield "x".repeat(65_536);
    }
    const server = createServer(async (req, res) => {
      const controller = new AbortController();
      res.once("close", () => {
        over.push(req.url ?? "");
        controller.abort();
      });
      res.flushHeaders();
      await pour(res, source(), controller.signal, { stalledMs: 600, leaveMs: 10, endMs: 10 });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await asking(`${url}/stalled`);
    const { answer } = await asking(`${url}/slow`);
    const sip = setInterval(() => answer.read(65_536), 20);
    onTestFinished(() => clearInterval(sip));
    await expect.poll(() => over, { timeout: 10_000 }).toEqual(["/stalled"]);
    await delay(1000);
    expect(over).toEqual(["/stalled"]);
  });
});

test("streams count as waiting and not as work, up to as many as may wait", async () => {
  const { source } = endless();
  const env = { MAX_REQUESTS: "1", MAX_WAITERS: "2" };
  const app = await startApp({ env, own: [streaming("endless", source)] });
  const [one, two] = [await asking(`${app.url}/test/endless`), await asking(`${app.url}/test/endless`)];
  expect([one.answer.statusCode, two.answer.statusCode]).toEqual([200, 200]);
  expect((await app.get("/health/live")).status).toBe(200);
  const third = await fetch(`${app.url}/test/endless`);
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "1"]);
});

describe("who may still have it", () => {
  const pieces = async function* () {
    for (const piece of ["one", "two", "three"]) {
      await delay(20);
      yield piece;
    }
  };
  async function got(ask: () => Promise<void>, everyMs: number) {
    const taken: string[] = [];
    const error = await (async () => {
      for await (const piece of whileAllowed(pieces(), ask, everyMs)) taken.push(piece);
    })().catch((failure) => failure.message);
    return [...taken, error];
  }

  test("is asked before a piece, once the time has come", async () => {
    let asked = 0;
    const ask = async () => void asked++;
    expect(await got(ask, 10)).toEqual(["one", "two", "three", undefined]);
    expect(asked).toBe(3);
    await got(ask, 60_000);
    expect(asked).toBe(3);
  });

  test("gets no further piece when it may not", async () => {
    const refuse = () => Promise.reject(new Problem("unauthenticated", "revoked"));
    expect(await got(refuse, 30)).toEqual(["one", "revoked"]);
  });

  test("goes on having it while that cannot be told", async () => {
    const untold = () => Promise.reject(new Problem("database_unavailable", "down"));
    expect(await got(untold, 10)).toEqual(["one", "two", "three", undefined]);
  });
});
