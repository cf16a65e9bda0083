import { retryAfterSeconds } from "../rules/retry-after.ts";
import type { Outcome, Outgoing } from "./destination.ts";
import { createGoogleTokens } from "./google-tokens.ts";
import { pubsubMessageOf } from "./pubsub-message.ts";

const SCOPE = "https://www.googleapis.com/auth/pubsub";
const MAX_MESSAGES = 1000;
/** Of a request's body. Pub/Sub takes 10 MB, and does not say whether it counts the topic and the headers. */
const MAX_REQUEST_BYTES = 9_500_000;
/** Of an answer's body: 1,000 ids are 30 KiB. */
const MAX_ANSWER_BYTES = 1_048_576;
/** Of one call, whatever publishes it takes (50 ms each): the messages' leases must outlast it. */
const LIMIT_SECONDS = 20;
/** Publishes of one call at a time: each ordering key needs its own. */
const AT_ONCE = 8;
const ENVELOPE = ['{"messages":[', "]}"] as const;

/** Publishes to Pub/Sub topics. */
export interface Pubsub {
  /**
   * Publishes messages to a topic (`projects/<project>/topics/<topic>`): one outcome per message, in their order. Never
   * throws: what was aborted is not delivered, "interrupted". Messages of one ordering key are published in their
   * order, and none after one that failed. A failure that is not one message's own (no topic, no token, no answer) ends
   * the call: what was not yet published shares its outcome. A publish that was not answered may have happened. What is
   * not begun within 20 s is not delivered, "interrupted".
   */
  publish(topic: string, messages: readonly Outgoing[], signal: AbortSignal): Promise<Outcome[]>;
  /** Interrupts what is being published, and whatever would be. */
  close(): void;
}

interface Letter {
  /** Its place among the messages given. */
  at: number;
  orderingKey: string | undefined;
  json: string;
  bytes: number;
}

/** What one publish came to: an id for each message, or one failure of all; `ofMessage` when a message is at fault. */
type Answer = { ids: string[] } | { failure: Outcome; ofMessage: boolean };

/**
 * A publisher to `endpoint` (`https://pubsub.googleapis.com`) with the process's Google credentials, or to an emulator
 * (`host:port`) with none.
 */
export function createPubsub(options: { endpoint: string; emulatorHost?: string | undefined }): Pubsub {
  const base = options.emulatorHost ? `http://${options.emulatorHost}` : options.endpoint;
  const tokens = options.emulatorHost ? undefined : createGoogleTokens(SCOPE);
  const closing = new AbortController();

  async function post(topic: string, letters: Letter[], caller: AbortSignal, limit: AbortSignal): Promise<Answer> {
    const signal = AbortSignal.any([caller, closing.signal, limit]);
    const body = ENVELOPE.join(letters.map(({ json }) => json).join());
    const send = async () => {
      const headers = new Headers(await tokens?.headers(signal));
      headers.set("content-type", "application/json");
      return fetch(`${base}/v1/${pathOf(topic)}:publish`, {
        method: "POST",
        headers,
        body,
        signal,
        redirect: "manual",
      });
    };
    try {
      let response = await send();
      if (response.status === 401 && tokens) {
        await response.body?.cancel();
        await tokens.forget();
        response = await send();
      }
      return await answerOf(response, letters.length);
    } catch (error) {
      if (caller.aborted || closing.signal.aborted) return interrupted;
      return failed(limit.aborted ? `no answer within ${LIMIT_SECONDS} s` : reasonOf(error));
    }
  }

  async function publish(topic: string, messages: readonly Outgoing[], signal: AbortSignal): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const limit = AbortSignal.timeout(LIMIT_SECONDS * 1000);
    let ended: Answer | undefined;

    const attempt = async (part: Letter[]) => {
      if (limit.aborted) return interrupted;
      const answer = ended ?? (await post(topic, part, signal, limit));
      if ("failure" in answer && !answer.ofMessage) ended = answer;
      return answer;
    };
    const settle = (part: Letter[], answer: Answer) => {
      for (const [index, { at }] of part.entries()) outcomes[at] = outcomeOf(answer, index);
    };

    // Pub/Sub takes one ordering key in a publish, or none.
    const lines = Map.groupBy(messages.map(letterOf), ({ orderingKey }) => orderingKey).values();
    const worker = async () => {
      for (const line of lines) await publishLine(line, attempt, settle);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return outcomes;
  }

  return { publish, close: () => closing.abort() };
}

/** Publishes the messages of one ordering key, or of none, in their order. */
async function publishLine(
  line: Letter[],
  attempt: (part: Letter[]) => Promise<Answer>,
  settle: (part: Letter[], answer: Answer) => void,
): Promise<void> {
  const parts = partsOf(line);
  let behind: Answer | undefined;
  for (let part = parts.shift(); part; part = parts.shift()) {
    const answer = behind ?? (await attempt(part));
    const refused = "failure" in answer && answer.ofMessage;
    if (refused && part.length > 1) {
      // Pub/Sub does not say which: one bad message must not fail its neighbours.
      const half = part.length >> 1;
      parts.unshift(part.slice(0, half), part.slice(half));
      continue;
    }
    settle(part, answer);
    if (refused && part[0]?.orderingKey) behind = failed("an earlier message of its ordering key was not delivered");
  }
}

function letterOf(message: Outgoing, at: number): Letter {
  const json = pubsubMessageOf(message);
  return { at, orderingKey: message.orderingKey, json, bytes: Buffer.byteLength(json) };
}

/** Cuts a line into what one publish takes. */
function partsOf(line: Letter[]): Letter[][] {
  const parts: Letter[][] = [];
  let bytes = 0;
  for (const letter of line) {
    const part = parts.at(-1);
    bytes += letter.bytes + 1;
    if (part && part.length < MAX_MESSAGES && bytes <= MAX_REQUEST_BYTES) part.push(letter);
    else {
      parts.push([letter]);
      bytes = letter.bytes + ENVELOPE.join("").length;
    }
  }
  return parts;
}

// A topic's name may have a %, and a project's a colon.
function pathOf(topic: string): string {
  return topic.split("/").map(encodeURIComponent).join("/");
}

async function answerOf(response: Response, count: number): Promise<Answer> {
  const body = parsed(await textOf(response));
  if (response.ok) {
    const ids: unknown = body?.messageIds;
    if (Array.isArray(ids) && ids.length === count) return { ids };
    const fault = body === undefined ? "is not JSON" : `has not one id for each of ${count} messages`;
    return failed(`${response.status}: the answer ${fault}`, { statusCode: response.status });
  }
  const { status = response.statusText, message } = body?.error ?? {};
  const wait = retryAfterSeconds(response.headers.get("retry-after"), new Date());
  return failed(
    `${response.status} ${status}${message ? `: ${message}` : ""}`,
    { statusCode: response.status, ...(wait !== undefined && { retryAfterSeconds: wait }) },
    response.status === 400 && status === "INVALID_ARGUMENT",
  );
}

/** The answer's body; of one that is too long, the beginning. */
async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

type Body = { messageIds?: unknown; error?: { status?: unknown; message?: unknown } };

function parsed(text: string): Body | null | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function outcomeOf(answer: Answer, index: number): Outcome {
  if ("failure" in answer) return answer.failure;
  return { delivered: true, statusCode: 200, detail: clean(`published as ${answer.ids[index]}`) };
}

const interrupted: Answer = failed("interrupted", { interrupted: true });

function failed(detail: string, answered: Partial<Outcome> = {}, ofMessage = false): Answer {
  return { failure: { delivered: false, detail: clean(detail), ...answered }, ofMessage };
}

/** At most 500 characters, none of them a control character. */
function clean(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .slice(0, 500)
    .toWellFormed();
}

/** What the network said (`ECONNREFUSED: …`): fetch itself says only that it failed. */
function reasonOf(error: unknown): string {
  const { code, message } = ((error as Error).cause ?? error) as { code?: string; message?: string };
  return [code, message].filter(Boolean).join(": ");
}
