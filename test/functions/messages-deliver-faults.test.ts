import { createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { listen } from "../../scripts/listen.ts";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const { messageOf, deliver, webhook, sendTo } = callsFor(service);

/** A server that does what it likes with each connection; answers its URL. */
async function startRaw(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onConnection(socket);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `${await listen(server, "127.0.0.1", 0)}/inbox`;
}

const answerWith = (head: string) => (socket: Socket) => socket.once("data", () => socket.end(head));

/** Delivers one message to each URL in one run; answers their receipts in order. */
async function receiptsOf(...urls: string[]) {
  const ids = [];
  for (const url of urls) ids.push(await sendTo((await webhook(url)).aiAgentAddress));
  await deliver();
  const messages = await Promise.all(ids.map(messageOf));
  return messages.map(({ status, attempts }) => ({ status, ...attempts[0] }));
}

describe("an attempt fails", () => {
  test("after 10 s with a receiver that hangs, drips its head, or never says a word", async () => {
    const hanging = await startReceiver(() => {});
    const dripping = await startRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const drip = setInterval(() => socket.write("x-drip: 1\r\n"), 500);
      socket.on("close", () => clearInterval(drip));
    });
    const informing = await startRaw((socket) => {
      const drip = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 500);
      socket.on("close", () => clearInterval(drip));
    });
    const start = performance.now();
    const receipts = await receiptsOf(hanging.url, dripping, informing);
    expect(performance.now() - start).toBeGreaterThan(9_900);
    expect(performance.now() - start).toBeLessThan(12_000);
    for (const receipt of receipts) {
      expect(receipt).toMatchObject({ status: "QUEUED", outcome: "FAILED", detail: "no answer within 10 s" });
      expect(receipt).not.toHaveProperty("statusCode");
      expect(Math.abs(receipt.milliseconds - 10_000)).toBeLessThan(1_000);
    }
  }, 30_000);

  test("when the connection is closed or refused, or what comes is not HTTP", async () => {
    const refusing = await startReceiver();
    await refusing.close();
    const receipts = await receiptsOf(
      await startRaw((socket) => socket.once("data", () => socket.destroy())),
      await startRaw((socket) => socket.once("data", () => socket.resetAndDestroy())),
      refusing.url,
      await startRaw(answerWith("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")),
      await startRaw(answerWith("220 mail.corp.example ESMTP\r\n")),
      await startRaw(answerWith(`HTTP/1.1 200 OK\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`)),
      refusing.url.replace("http:", "https:").replace(refusing.host, new URL(service.url).host),
    );
    expect(receipts.map(({ outcome, detail }) => [outcome, detail])).toEqual([
      ["FAILED", "the connection was closed before an answer came"],
      ["FAILED", "the connection was closed before an answer came"],
      ["FAILED", "the connection was refused"],
      ["FAILED", "the connection was closed before an answer came"],
      ["FAILED", "HPE_INVALID_CONSTANT"],
      ["FAILED", "HPE_HEADER_OVERFLOW"],
      ["FAILED", expect.stringMatching(/SSL|EPROTO/)],
    ]);
  });

  test("when it is redirected, and nobody goes there", async () => {
    const elsewhere = await startReceiver();
    const redirects = await Promise.all(
      [301, 302, 303, 307, 308].map((status) =>
        startReceiver((_, res) => res.writeHead(status, { location: elsewhere.url }).end()),
      ),
    );
    const receipts = await receiptsOf(...redirects.map(({ url }) => url));
    for (const receipt of receipts)
      expect(receipt).toMatchObject({ outcome: "FAILED", detail: "redirects are not followed" });
    expect(receipts.map(({ statusCode }) => statusCode)).toEqual([301, 302, 303, 307, 308]);
    expect(elsewhere.received).toEqual([]);
  });
});

describe("an attempt succeeds", () => {
  test("with the head of a 2xx, whatever becomes of the body", async () => {
    const head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    let poured = 0;
    const endless = await startRaw((socket) =>
      socket.once("data", () => {
        socket.write(head);
        const pour = setInterval(() => socket.write("x".repeat(50_000), () => poured++), 5);
        socket.on("close", () => clearInterval(pour));
      }),
    );
    const start = performance.now();
    const receipts = await receiptsOf(
      await startRaw((socket) => socket.once("data", () => socket.write(head))),
      await startRaw((socket) => socket.once("data", () => socket.write(head, () => socket.resetAndDestroy()))),
      endless,
      (await startReceiver((_, res) => res.writeHead(202).end("x".repeat(60_000)))).url,
    );
    expect(performance.now() - start).toBeLessThan(3_000);
    expect(receipts.map(({ status, statusCode }) => [status, statusCode])).toEqual([
      ["DELIVERED", 200],
      ["DELIVERED", 200],
      ["DELIVERED", 200],
      ["DELIVERED", 202],
    ]);
    const soon = poured;
    await delay(200);
    expect(poured, "the endless one is cut off").toBe(soon);
  });

  test("over a connection that serves again and again", async () => {
    const connections = new Set<unknown>();
    const { url, received, server } = await startReceiver((_, res) => res.writeHead(200).end("thank you"));
    server.on("connection", (socket) => connections.add(socket));
    const { aiAgentAddress } = await webhook(url);
    for (let n = 0; n < 200; n++) await sendTo(aiAgentAddress);
    expect(await deliver()).toMatchObject({ delivered: 200 });
    expect(received).toHaveLength(200);
    expect(connections.size).toBeLessThanOrEqual(16);
  });

  test("although the kept connection is closed in the moment of its use", async () => {
    const requests: number[] = [];
    const url = await startRaw((socket) => {
      const connection = requests.push(0) - 1;
      socket.on("data", () => {
        requests[connection] = (requests[connection] ?? 0) + 1;
        if (requests[connection] === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        else socket.resetAndDestroy();
      });
    });
    const { aiAgentAddress } = await webhook(url);
    for (let n = 0; n < 5; n++) {
      await sendTo(aiAgentAddress);
      expect(await deliver()).toMatchObject({ delivered: 1, failed: 0 });
    }
    expect(requests).toEqual([2, 1, 2, 1, 1]);
  });
});
