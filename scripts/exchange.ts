import { type IncomingHttpHeaders, request as plain } from "node:http";
import { request as secure } from "node:https";
import { text } from "node:stream/consumers";

/** A request as it goes over the wire. */
export interface Exchange {
  method: string;
  /** Sent as it is: `@` and `%40` stay apart. */
  url: string;
  /** Names and values in turn, so that a name can be sent twice. */
  headers?: readonly string[];
  body?: string | undefined;
  timeoutMs: number;
}

/** What came back. */
export interface Exchanged {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body, when it is JSON. */
  json: unknown;
  milliseconds: number;
}

/**
 * Sends a request and reads the answer; follows no redirect. Not by `fetch`: that joins headers of one name, and gives
 * up after 300 s without an answer, while a migration may take 600 s.
 * @throws Error in one line when there is no answer
 */
export async function exchange({ method, url, headers = [], body, timeoutMs }: Exchange): Promise<Exchanged> {
  const { protocol, hostname, host, port } = new URL(url);
  const start = performance.now();
  const sent = [...headers, "Host", host];
  if (body !== undefined) sent.push("Content-Type", "application/json");
  if (body !== undefined || method !== "GET") sent.push("Content-Length", String(Buffer.byteLength(body ?? "")));
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { code?: string }) =>
      reject(new Error(`${host} does not answer: ${error.message || error.code || error.name}`));
    const asked = (protocol === "http:" ? plain : secure)({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port,
      method,
      path: url.slice(url.indexOf(host) + host.length) || "/",
      headers: sent,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
    });
    // What is between may forget a connection on which nothing is said for minutes.
    asked.once("socket", (socket) => socket.setKeepAlive(true, 30_000));
    asked.once("error", (error) =>
      failed(error.name === "AbortError" ? new Error(`nothing within ${timeoutMs / 1000} s`) : error),
    );
    asked.once("response", (answer) => {
      text(answer).then((content) => {
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text: content,
          json: parsed(content),
          milliseconds: performance.now() - start,
        });
      }, failed);
    });
    asked.end(body);
  });
}

/** The code of a problem (RFC 9457); undefined: whoever answered, it was not the service. */
export function problemOf({ headers, json }: Exchanged): { code: string; detail: string } | undefined {
  const { code, detail } = (json ?? {}) as { code?: unknown; detail?: unknown };
  if (!headers["content-type"]?.startsWith("application/problem+json") || typeof code !== "string") return undefined;
  return { code, detail: String(detail ?? "") };
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

/**
 * A URL to which paths are added, without a slash at its end; undefined when it cannot be called. `localhost:8080` can be
 * parsed too, as a URL of the scheme `localhost`.
 */
export function baseOf(url = ""): string | undefined {
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? url.replace(/\/$/, "") : undefined;
}
