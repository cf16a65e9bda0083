import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { onTestFinished, vi } from "vitest";

/** What an API of Google's was asked. */
export interface Asked {
  method: string;
  path: string;
  authorization: string | undefined;
  body: unknown;
}

/** Starts an API of Google's until the test ends; the environment variable names its address. */
export async function startGoogleApi(
  variable: string,
  answer: (asked: Asked) => Promise<{ status: number; body: unknown }> | { status: number; body: unknown },
): Promise<Asked[]> {
  const requests: Asked[] = [];
  const server = createServer(async (req, res) => {
    const asked = {
      method: req.method ?? "",
      path: decodeURIComponent(req.url ?? ""),
      authorization: req.headers.authorization,
      body: req.method === "POST" ? await json(req) : undefined,
    };
    requests.push(asked);
    const { status, body } = await answer(asked);
    res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.stubEnv(variable, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    vi.unstubAllEnvs();
  });
  return requests;
}
