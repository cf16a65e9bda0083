import { randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Server } from "node:http";
import type { Socket } from "node:net";
import { Problem } from "../errors.ts";
import type { RequestHandler } from "./serve.ts";

/** Longer than the usual proxies keep a connection, so that none sends a request into one that is just being closed. */
const KEEP_ALIVE_MS = 65_000;

/**
 * Puts our handler in the place of the framework's Express app. Its path wraps every request in a `node:domain` and five
 * body parsers, which costs five times the server itself, and answers malformed JSON as HTML.
 */
export function takeOver(server: Server, handler: RequestHandler): void {
  server.removeAllListeners("request");
  server.on("request", handler);
  // An expectation nobody knows may be passed over (RFC 9110, 10.1.1); Node would answer 417 without a body.
  server.on("checkExpectation", handler);
  server.removeAllListeners("clientError");
  server.on("clientError", refuseUnreadable);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
}

/**
 * Takes over the framework's server as soon as it listens, before its first request: under the framework's command line
 * nothing else hands the server out. `taken` is called with it once.
 */
export function takeOverWhenListening(handler: RequestHandler, taken: (server: Server) => void): void {
  const channel = "tracing:net.server.listen:asyncEnd";
  const onListen = (message: unknown) => {
    const { server } = message as { server?: unknown };
    if (!(server instanceof Server) || !isExpress(server.listeners("request")[0])) return;
    unsubscribe(channel, onListen);
    takeOver(server, handler);
    taken(server);
  };
  subscribe(channel, onListen);
}

function isExpress(listener: unknown): boolean {
  return typeof listener === "function" && "handle" in listener && "settings" in listener;
}

const STATUS_OF: Record<string, string> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** What is no HTTP at all, or has endless headers, gets a problem too. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const status = STATUS_OF[error.code ?? ""] ?? "400 Bad Request";
  const requestId = randomUUID();
  const problem = new Problem("invalid_request", "The request is not HTTP that can be read.").toBody(requestId);
  const body = JSON.stringify({ ...problem, status: Number(status.slice(0, 3)) });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `X-Request-Id: ${requestId}\r\nConnection: close\r\n\r\n${body}`,
  );
}
