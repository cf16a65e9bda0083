import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished, vi } from "vitest";

/** A message as Pub/Sub keeps it. */
export interface Published {
  id: string;
  /** The data, decoded. */
  data: string;
  attributes: Record<string, string>;
  orderingKey?: string;
}

/** A server that speaks Pub/Sub's published REST protocol on a port of its own. */
export interface FakePubsub {
  url: string;
  /** As `PUBSUB_EMULATOR_HOST` has it. */
  host: string;
  /** Names of the topics there are. */
  topics: Set<string>;
  /** The one token that is taken; undefined: any or none. */
  token: string | undefined;
  /** What was published to a topic, in order. */
  published(topic: string): Published[];
  /** Every request, answered or not. */
  requests: { url: string; messages: number; bytes: number; authorization: string | undefined }[];
  /** Connections ever opened to it. */
  connections(): number;
  /** Answers the next requests with a refusal, or with any text. */
  answer(times: number, status: number, body: object | string, headers?: Record<string, string>): void;
  /** Answers the next requests as it should, before what it is told next. */
  pass(times: number): void;
  /** Leaves the next requests unanswered; resolves when one has arrived. */
  hang(times: number): Promise<void>;
  /** Breaks the connection in the middle of the next answers. */
  breakOff(times: number): void;
}

interface Wire {
  data?: unknown;
  attributes?: Record<string, unknown>;
  orderingKey?: string;
}

/** An error as Google's APIs write it (AIP-193). */
export function googleError(code: number, status: string, message: string) {
  return { error: { code, message, status } };
}

const MAX_REQUEST_BYTES = 10_000_000;

/** Starts one that ends with the test. */
export async function startPubsub(...topics: string[]): Promise<FakePubsub> {
  const kept = new Map<string, Published[]>();
  const scripted: (((response: ServerResponse) => void) | undefined)[] = [];
  const script = (times: number, act: (typeof scripted)[number]) =>
    scripted.push(...Array.from({ length: times }, () => act));
  let lastId = 0;

  const { address, connections } = await listen(async (request, response) => {
    const body = await bodyOf(request);
    const { messages = [] } = JSON.parse(body) as { messages?: Wire[] };
    const { authorization } = request.headers;
    const url = request.url ?? "";
    fake.requests.push({ url, messages: messages.length, bytes: Buffer.byteLength(body), authorization });
    const act = scripted.shift();
    if (act) return act(response);
    const topic = /^\/v1\/(projects\/[^/]+\/topics\/[^/]+):publish$/.exec(url)?.[1];
    const refuse = (code: number, status: string, message: string) =>
      answer(response, code, googleError(code, status, message));
    if (fake.token && authorization !== `Bearer ${fake.token}`)
      return refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    if (request.method !== "POST" || !topic) return answer(response, 404, "<title>Error 404 (Not Found)</title>");
    const name = decodeURIComponent(topic);
    if (!fake.topics.has(name)) return refuse(404, "NOT_FOUND", `Resource not found (resource=${name}).`);
    const fault = faultOf(messages, body);
    if (fault) return refuse(400, "INVALID_ARGUMENT", fault);
    const stored = messages.map((message) => ({
      ...(message as Omit<Published, "id" | "data">),
      id: String(++lastId),
      data: Buffer.from(String(message.data), "base64").toString(),
    }));
    kept.set(name, [...(kept.get(name) ?? []), ...stored]);
    return answer(response, 200, { messageIds: stored.map(({ id }) => id) });
  });

  const fake: FakePubsub = {
    url: `http://${address}`,
    host: address,
    topics: new Set(topics),
    token: undefined,
    published: (topic) => kept.get(topic) ?? [],
    requests: [],
    connections,
    answer: (times, status, body, headers) => script(times, (response) => answer(response, status, body, headers)),
    pass: (times) => script(times, undefined),
    hang: (times) => new Promise((resolve) => script(times, () => resolve())),
    breakOff: (times) =>
      script(times, (response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write('{"messageIds":[', () => response.destroy());
      }),
  };
  return fake;
}

/** Why a publish is refused, by the published limits. */
function faultOf(messages: Wire[], body: string): string | undefined {
  if (Buffer.byteLength(body) > MAX_REQUEST_BYTES) return "Request payload size exceeds the limit: 10000000 bytes.";
  if (messages.length === 0) return "The request must have at least one message.";
  if (messages.length > 1000) return "The value for message_count is too large: at most 1000.";
  if (new Set(messages.map(({ orderingKey = "" }) => orderingKey)).size > 1)
    return "All messages in a publish must have the same ordering key.";
  return messages.map(messageFault).find((fault) => fault !== undefined);
}

function messageFault({ data = "", attributes = {}, orderingKey = "" }: Wire): string | undefined {
  const entries = Object.entries(attributes);
  const bytes = Buffer.byteLength;
  if (typeof data !== "string" || Buffer.from(data, "base64").toString("base64") !== data)
    return "Base64 decoding failed.";
  if (data === "" && entries.length === 0) return "A message must have data or an attribute.";
  if (entries.length > 100) return "A message has too many attributes: at most 100.";
  if (entries.some(([name]) => name === "" || name.startsWith("goog") || bytes(name) > 256))
    return "An attribute's key is not valid: 1 to 256 bytes, not starting with goog.";
  if (entries.some(([, value]) => typeof value !== "string" || bytes(value) > 1024))
    return "An attribute's value is too long: at most 1024 bytes.";
  return bytes(orderingKey) > 1024 ? "The ordering key is too long: at most 1024 bytes." : undefined;
}

/** The metadata server of a machine at Google, which gives `token-1`, `token-2` and so on. */
export interface FakeMetadata {
  /** Scopes asked for, one entry for each token given. */
  asked: string[];
  /** Refuses with this status and text; undefined: gives tokens. */
  refusal: { status: number; body: string } | undefined;
  /** Leaves requests unanswered. */
  hanging: boolean;
}

/** Starts one that ends with the test, and makes the process believe it runs beside it with no other credentials. */
export async function startMetadata(onEnd: (end: () => void) => void = onTestFinished): Promise<FakeMetadata> {
  const { address } = await listen((request, response) => {
    if (fake.hanging) return;
    const url = new URL(request.url ?? "", "http://metadata");
    const given = { "metadata-flavor": "Google" };
    if (request.headers["metadata-flavor"] !== "Google") return answer(response, 403, "", given);
    if (url.pathname !== "/computeMetadata/v1/instance/service-accounts/default/token")
      return answer(response, 404, "", given);
    if (fake.refusal) return answer(response, fake.refusal.status, fake.refusal.body, given);
    fake.asked.push(url.searchParams.get("scopes") ?? "");
    const token = { access_token: `token-${fake.asked.length}`, expires_in: 3599, token_type: "Bearer" };
    return answer(response, 200, token, given);
  }, onEnd);
  const fake: FakeMetadata = { asked: [], refusal: undefined, hanging: false };
  const environment = {
    GCE_METADATA_HOST: address,
    GCE_METADATA_IP: undefined,
    METADATA_SERVER_DETECTION: "assume-present",
    GOOGLE_APPLICATION_CREDENTIALS: undefined,
    // As the platform does: without it, google-auth-library asks a gcloud that is on the machine, for seconds.
    GOOGLE_CLOUD_PROJECT: "project",
    // Where gcloud leaves a person's credentials.
    HOME: "/nonexistent",
    APPDATA: "/nonexistent",
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  onEnd(() => void vi.unstubAllEnvs());
  return fake;
}

async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  onEnd: (end: () => void) => void = onTestFinished,
) {
  let connections = 0;
  const server = createServer(handle).on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function answer(response: ServerResponse, status: number, body: object | string, headers = {}): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json; charset=UTF-8", ...headers }).end(text);
}
