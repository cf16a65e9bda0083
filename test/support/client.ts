import { checkAnswer } from "./contract.ts";

/** An answer as a client sees it; `body` is parsed when it is JSON. */
export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  body: any;
}

type Headers_ = Record<string, string>;

/** Requests with JSON bodies; every answer is checked against the published description before it is returned. */
export interface Http {
  get(path: string, headers?: Headers_): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Headers_): Promise<Answer>;
  put(path: string, body?: unknown, headers?: Headers_): Promise<Answer>;
  delete(path: string, headers?: Headers_): Promise<Answer>;
  /** Sends exactly these bytes. */
  raw(
    method: string,
    path: string,
    body: string | Uint8Array<ArrayBuffer> | undefined,
    headers?: Headers_,
  ): Promise<Answer>;
}

/** An answer's text; of a stream, which has no end of its own, what comes first: then its reader is gone. */
export async function textOf(response: Response): Promise<string> {
  if (response.headers.get("content-type") !== "text/event-stream") return response.text();
  for await (const piece of response.body ?? []) return Buffer.from(piece).toString();
  return "";
}

/** `sent` goes with every request that does not say otherwise. */
export function client(url: string, sent: Headers_ = {}): Http {
  async function raw(
    method: string,
    path: string,
    body: string | Uint8Array<ArrayBuffer> | undefined,
    headers: Headers_ = {},
  ) {
    const response = await fetch(url + path, {
      method,
      headers: { ...sent, ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await textOf(response);
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    const answer = { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
    checkAnswer(method, path, answer);
    return answer;
  }
  const json =
    (method: string) =>
    (path: string, body?: unknown, headers: Headers_ = {}) =>
      body === undefined
        ? raw(method, path, undefined, headers)
        : raw(method, path, JSON.stringify(body), { "content-type": "application/json", ...headers });
  return {
    raw,
    get: (path, headers) => raw("GET", path, undefined, headers),
    post: json("POST"),
    put: json("PUT"),
    delete: (path, headers) => raw("DELETE", path, undefined, headers),
  };
}
