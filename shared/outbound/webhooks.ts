import type { KeyObject } from "node:crypto";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, STATUS_CODES } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { retryAfterSeconds } from "../rules/retry-after.ts";
import { CLOUDEVENT_TYPE, cloudEventOf } from "./cloudevent.ts";
import type { Outcome, Outgoing } from "./destination.ts";
import type { Guard } from "./guard.ts";
import { signatureHeaders } from "./signature.ts";

/** From the name's look-up to the head of the answer. */
const LIMIT_MS = 10_000;
/** An answer's body says nothing to us: this much is read so that the connection can serve again. */
const MOST_BODY_BYTES = 64 * 1024;
/** Idle connections are kept this long; an agent that gets a message a minute is connected to anew. */
const IDLE_MS = 15_000;

/** Delivers messages to webhooks. */
export interface Webhooks {
  /**
   * Posts a message, signed with each of `keys`. The status decides: 2xx is success, whatever becomes of the body.
   * Never throws; `signal` gives the attempt up.
   */
  post(url: string, message: Outgoing, keys: readonly KeyObject[], signal: AbortSignal): Promise<Outcome>;
  close(): void;
}

/** Webhooks whose connections go only where `guard` lets them, and are kept alive. */
export function createWebhooks(guard: Guard): Webhooks {
  const options = { keepAlive: true, timeout: IDLE_MS, ...(guard.lookup && { lookup: guard.lookup }) };
  const agents = { "http:": new HttpAgent(options), "https:": new HttpsAgent(options) };

  /** One request, from the kept connections or (`fresh`) on a new one; resolves with the head of the answer. */
  function send(
    url: URL,
    headers: Record<string, string>,
    body: string,
    signal: AbortSignal,
    fresh: boolean,
  ): Promise<IncomingMessage> {
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    const agent = agents[url.protocol as keyof typeof agents];
    return new Promise((resolve, reject) => {
      const req = request(url, { ...options, method: "POST", headers, signal, agent: fresh ? false : agent });
      let over = false;
      const end = (how: () => void) => {
        if (!over) how();
        over = true;
      };
      req.once("response", (answer) => end(() => resolve(answer)));
      req.on("error", (error: NodeJS.ErrnoException) =>
        end(() => {
          // The other side closed a kept connection just as this request took it (RFC 9112, 9.3.1).
          const stale = req.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
          if (stale && !signal.aborted) resolve(send(url, headers, body, signal, true));
          else reject(error);
        }),
      );
      // After 101 Switching Protocols that is all that comes.
      req.once("close", () => end(() => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" }))));
      req.end(body);
    });
  }

  return {
    async post(name, message, keys, signal) {
      const fault = guard.faultByForm(name);
      if (fault) return { delivered: false, detail: `refused: the URL ${fault}` };
      const body = cloudEventOf(message);
      const headers = {
        "content-type": CLOUDEVENT_TYPE,
        "content-length": Buffer.byteLength(body).toString(),
        "user-agent": "cams",
        ...signatureHeaders(message.messageId, body, keys, new Date()),
        ...(message.traceparent && { traceparent: message.traceparent }),
      };
      const limit = AbortSignal.timeout(LIMIT_MS);
      try {
        const answer = await send(new URL(name), headers, body, AbortSignal.any([limit, signal]), false);
        drain(answer);
        return outcomeOf(answer);
      } catch (error) {
        if (limit.aborted) return { delivered: false, detail: `no answer within ${LIMIT_MS / 1000} s` };
        if (signal.aborted) return { delivered: false, detail: "interrupted", interrupted: true };
        return { delivered: false, detail: reasonOf(error as NodeJS.ErrnoException) };
      }
    },

    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

function outcomeOf({ statusCode = 0, headers }: IncomingMessage): Outcome {
  if (statusCode >= 200 && statusCode < 300) return { delivered: true, statusCode };
  const wait = retryAfterSeconds(headers["retry-after"], new Date());
  const isRedirect = statusCode >= 300 && statusCode < 400;
  return {
    delivered: false,
    statusCode,
    detail: isRedirect ? "redirects are not followed" : (STATUS_CODES[statusCode] ?? "unknown status"),
    ...(wait !== undefined && { retryAfterSeconds: wait }),
    ...(statusCode === 410 && { gone: true }),
  };
}

/** Reads on, without looking, until the connection is free for the next message or the rest is not worth it. */
function drain(answer: IncomingMessage): void {
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) answer.destroy();
  });
  answer.on("error", () => {});
}

const reasons: Record<string, string> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before an answer came",
  EPIPE: "the connection was closed before an answer came",
  ENOTFOUND: "the name does not resolve",
  ENODATA: "the name has no address",
  FORBIDDEN_ADDRESS: "refused: the name leads to an address that is not public",
};

/** Why an attempt failed: by the error's code, because messages carry addresses that are none of a sender's business. */
function reasonOf({ code = "unknown error" }: NodeJS.ErrnoException): string {
  return reasons[code] ?? code;
}
