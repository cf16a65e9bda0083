import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** A request on its way to the service. */
export interface Passing {
  method: string;
  path: string;
  /** As they came: names and values. */
  headers: [string, string][];
  body: string;
}

/** An answer on its way back. */
export interface Returning {
  status: number;
  type: string;
  body: string;
}

/** What a front does to what passes it. */
export interface Meddling {
  /** Changes a request, or answers it itself. */
  request?(passing: Passing): Passing | Returning | Promise<Passing>;
  answer?(returning: Returning, passing: Passing): Returning;
}

/** Starts what stands between callers and a service, until the test ends; answers its URL. */
export async function startFront(target: string, { request: change, answer }: Meddling = {}): Promise<string> {
  const server = createServer(async (req, res) => {
    const headers: [string, string][] = [];
    for (let at = 0; at < req.rawHeaders.length; at += 2)
      headers.push([req.rawHeaders[at] as string, req.rawHeaders[at + 1] as string]);
    const came = { method: req.method ?? "", path: req.url ?? "", headers, body: (await buffer(req)).toString() };
    const going = (await change?.(came)) ?? came;
    const back = "status" in going ? going : await pass(target, going);
    const { status, type, body } = answer?.(back, came) ?? back;
    res.writeHead(status, { "Content-Type": type }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function pass(target: string, { method, path, headers, body }: Passing): Promise<Returning> {
  const { hostname, port } = new URL(target);
  const sent = headers.filter(([name]) => !/^(content-length|connection|transfer-encoding)$/i.test(name)).flat();
  if (method !== "GET") sent.push("Content-Length", String(Buffer.byteLength(body)));
  const asked = request({ hostname, port, method, path, headers: sent, agent: false });
  asked.end(body);
  const [answer] = await once(asked, "response");
  return {
    status: answer.statusCode,
    type: answer.headers["content-type"] ?? "text/plain",
    body: (await buffer(answer)).toString(),
  };
}
