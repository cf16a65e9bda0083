import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Answer } from "../support/client.ts";
import { checkAnswer } from "../support/contract.ts";

type Bytes = string | Uint8Array;

/** What came back over a connection. */
export interface Exchange {
  answers: Answer[];
  /** Whether the server ended the connection, within the time given to it. */
  closed: boolean;
}

/** `host` and `port` of a service. */
const placeOf = (url: string) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });

/**
 * Writes the bytes as they are, numbers being milliseconds to wait between, and reads until there are `count` answers,
 * the server closes, or `patience` milliseconds have passed. `end`: what the client does after the last byte.
 */
export async function exchange(
  url: string,
  parts: (Bytes | number)[],
  { count = 1, patience = 5000, end = "stay" as "stay" | "close" | "reset" } = {},
): Promise<Exchange> {
  const socket = connect({ ...placeOf(url), allowHalfOpen: true });
  let received = Buffer.alloc(0);
  let closed = false;
  const over = new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      received = Buffer.concat([received, data]);
      if (parse(received).length >= count) resolve();
    });
    for (const event of ["end", "close", "error"])
      socket.on(event, () => {
        closed = true;
        resolve();
      });
  });
  for (const part of parts) {
    if (typeof part === "number") await delay(part);
    else socket.write(part);
  }
  if (end === "close") socket.end();
  if (end === "reset") {
    await delay(20);
    socket.resetAndDestroy();
  }
  await Promise.race([over, delay(patience, undefined, { ref: false })]);
  socket.destroy();
  return { answers: parse(received), closed };
}

/** One request on a connection of its own, its answer checked against the description; `path` goes out as it is. */
export async function ask(
  url: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body: Bytes = "",
): Promise<Answer> {
  const given = {
    Host: "localhost",
    Connection: "close",
    ...(body.length > 0 && { "Content-Length": `${Buffer.byteLength(body)}` }),
  };
  const lines = Object.entries({ ...given, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const { answers } = await exchange(url, [Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), body]);
  const [answer] = answers;
  if (!answer) throw new Error(`no answer to ${method} ${path.slice(0, 200)}`);
  if (method !== "HEAD") checkAnswer(method, path, answer);
  return answer;
}

/** The whole answers in what was received; interim ones (1xx) are left out. */
function parse(received: Buffer): Answer[] {
  const answers: Answer[] = [];
  let rest = received;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return answers;
    const [start = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(start)?.[1]);
    const headers = new Headers(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
    // Chunked is only what Node answers by itself, and that is empty.
    const size = headers.has("transfer-encoding") ? 5 : Number(headers.get("content-length") ?? 0);
    const body = rest.subarray(end + 4, end + 4 + size);
    if (body.length < size) return answers;
    rest = rest.subarray(end + 4 + size);
    if (status < 200) continue;
    const isJson = /json/.test(headers.get("content-type") ?? "");
    answers.push({ status, headers, body: isJson ? JSON.parse(`${body}`) : `${body}` });
  }
}
