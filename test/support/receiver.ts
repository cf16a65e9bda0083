import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** One call that arrived. */
export interface Received {
  at: number;
  path: string;
  headers: Record<string, string>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  event: any;
}

/** A webhook's other side: keeps what arrives, and answers as told. */
export interface Receiver {
  url: string;
  host: string;
  received: Received[];
  server: Server;
  close(): Promise<void>;
}

type Answering = (call: Received, res: ServerResponse, req: IncomingMessage) => unknown;

/** Starts a receiver, until the test ends; it answers 204 unless told otherwise. */
export async function startReceiver(answer: Answering = (_, res) => res.writeHead(204).end()): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer(async (req, res) => {
    const body = await text(req).catch(() => "");
    const headers = Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, String(value)]));
    const call = { at: performance.now(), path: req.url ?? "", headers, text: body, event: JSON.parse(body || "null") };
    received.push(call);
    await answer(call, res, req);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(close);
  return { url: `http://${host}/inbox`, host, received, server, close };
}

/** Answers one status after the other, the last for ever. */
export function inTurn(...statuses: number[]): Answering {
  let count = 0;
  return (_, res) => res.writeHead(statuses[Math.min(count++, statuses.length - 1)] as number).end();
}
