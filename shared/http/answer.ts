import type { ServerResponse } from "node:http";
import { Problem } from "../errors.ts";
import type { KeptAnswer } from "../repository/idempotency.ts";
import { isPieces } from "./stream.ts";

/** What is answered to a request. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** Undefined: no content. A string is sent as it is, pieces are streamed, anything else is sent as JSON. */
  body: unknown;
}

const JSON_TYPE = "application/json; charset=utf-8";

/** What an error means to the caller: a problem, or a fault of ours. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem("internal", "The fault is ours, and it has been recorded.", { cause: error });
}

/** A problem as an answer. */
export function answerOf(problem: Problem, requestId: string): Answer {
  const headers: Record<string, string> = { "Content-Type": "application/problem+json" };
  if (problem.retryAfterSeconds !== undefined) headers["Retry-After"] = String(problem.retryAfterSeconds);
  // With every 401, says RFC 9110, 11.6.1.
  if (problem.status === 401) headers["WWW-Authenticate"] = 'Bearer realm="cams"';
  if (problem.allow) headers.Allow = problem.allow.join(", ");
  // The rest of a body that is not read to its end cannot be told from a next request.
  if (problem.code === "body_too_large") headers.Connection = "close";
  return { status: problem.status, headers, body: problem.toBody(requestId) };
}

/** Writes an answer, if nothing was written yet; of one that comes in pieces the head. */
export function send(
  res: ServerResponse,
  requestId: string,
  { status, headers, body }: Answer,
  closing: boolean,
): void {
  if (res.headersSent || res.destroyed) return;
  const inPieces = isPieces(body);
  const content = inPieces || body === undefined || typeof body === "string" ? body : `${JSON.stringify(body)}\n`;
  if (closing) res.setHeader("Connection", "close");
  res.writeHead(status, {
    ...(typeof content === "string" && {
      "Content-Type": JSON_TYPE,
      "Content-Length": Buffer.byteLength(content),
    }),
    // Else nginx, and what follows its ways, keeps pieces back until it has a buffer full of them.
    ...(inPieces && { "X-Accel-Buffering": "no" }),
    "Cache-Control": "no-store",
    ...headers,
    "X-Request-Id": requestId,
  });
  if (inPieces) res.flushHeaders();
  else res.end(content);
}

/** An answer as it is kept: without what is shown only once. */
export function kept({ status, headers, body }: Answer, shownOnce: readonly string[] = []): KeptAnswer {
  const shown = Object.entries(body as object).filter(([field]) => !shownOnce.includes(field));
  return { status, headers, body: Object.fromEntries(shown) };
}
