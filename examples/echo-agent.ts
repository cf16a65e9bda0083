// An agent: it sends the payload of every message back to whoever sent it.
//
//   npx node examples/echo-agent.ts [address]
//
// CAMS_URL (http://127.0.0.1:8080), CAMS_KEY (where the service asks for one), AGENT_ADDRESS (echo@example),
// HEARTBEAT_SECONDS (60, at least 5)
import { setTimeout as sleep } from "node:timers/promises";

interface Message {
  messageId: string;
  senderAddress: string;
  replyToAddress?: string;
  correlationId?: string;
  inReplyTo?: string;
  payload: Record<string, unknown>;
  leaseToken: string;
}

interface Answer {
  status: number;
  retryAfterSeconds: number;
  replayed: boolean;
  body: { code?: string; detail?: string; messages?: Message[]; refused?: unknown[] };
}

const service = (process.env.CAMS_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const key = process.env.CAMS_KEY;
const address = process.argv[2] || process.env.AGENT_ADDRESS || "echo@example";
const heartbeatIntervalSeconds = Number(process.env.HEARTBEAT_SECONDS || 60);
const inbox = `/v1/agent-inboxes/${encodeURIComponent(address)}`;
const stopping = new AbortController();
/** No answer, too many requests, and what a service or the proxy before it says while it starts or is busy. */
const TRY_AGAIN = new Set([0, 429, 502, 503, 504]);

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopping.abort());
try {
  if (!/^https?:/.test(service) || !URL.canParse(service))
    throw new Error(`CAMS_URL must be an http or https URL, not ${service}`);
  await register();
  await Promise.all([heartbeat(), work()]);
  // Whoever cannot wait (`ifInactive: "reject"`) learns now that nobody is here, not after four missed reports. What is
  // sent meanwhile is held, and arrives when the agent is back.
  await report("UNHEALTHY", "stopped");
} catch (error) {
  say((error as Error).message);
  if (!stopping.signal.aborted) process.exit(1);
}
say("stopped");

async function register(): Promise<void> {
  const given = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE", heartbeatIntervalSeconds };
  let answer = await call("POST", "/v1/agent-inboxes", given);
  // Known from before, perhaps with another interval: reporting less often than it says would make the agent SUSPECT.
  if (answer.body.code === "inbox_exists") answer = await call("PUT", inbox, { heartbeatIntervalSeconds });
  if (![200, 201].includes(answer.status)) throw new Error(`cannot register: ${refusal(answer)}`);
  say(answer.status === 201 ? "registered" : "is registered already");
}

/** Runs beside the work, so that an agent busy with a long task does not look like a dead one. */
async function heartbeat(): Promise<void> {
  while (!stopping.signal.aborted) {
    await report("HEALTHY");
    await pause(heartbeatIntervalSeconds);
  }
}

async function report(status: "HEALTHY" | "UNHEALTHY", details?: string): Promise<void> {
  const answer = await call("POST", "/v1/agent-health-check", { aiAgentAddress: address, status, details });
  say(answer.status === 200 ? `reported ${status}` : `could not report: ${refusal(answer)}`);
}

async function work(): Promise<void> {
  while (!stopping.signal.aborted) {
    // Should the answer be lost on its way, its messages come again after leaseSeconds.
    const answer = await call("POST", `${inbox}/messages/pull`, { leaseSeconds: 30, waitSeconds: 20 }, 20);
    for (const message of answer.body.messages ?? []) {
      // What has not been begun need not wait here until its lease runs out.
      if (stopping.signal.aborted) await giveBack(message, "the agent is stopping", 0);
      else await handle(message);
    }
    if (answer.body.messages || stopping.signal.aborted) continue;
    say(`cannot pull: ${refusal(answer)}`);
    if (answer.body.code === "inbox_not_found") await register();
    else await pause(5);
  }
}

async function handle(message: Message): Promise<void> {
  // Two agents that answer each other's answers would never stop; and `cams`, the system itself, has no inbox.
  if (message.inReplyTo || message.senderAddress === "cams") return acknowledge(message);

  // The reply first, the acknowledgement after: whoever dies in between gets the message again, and senderMessageId
  // makes the second reply (whose body must be the same) one with the first. The other way round it would be lost.
  const recipientAddress = message.replyToAddress ?? message.senderAddress;
  const reply = await call("POST", "/v1/messages", {
    recipientAddress,
    senderAddress: address,
    messageType: "echo",
    payload: message.payload,
    correlationId: message.correlationId,
    inReplyTo: message.messageId,
    senderMessageId: `echo-${message.messageId}`,
  });
  // It comes again, each time later, until it expires or has had all its attempts.
  if (reply.status !== 202) return giveBack(message, refusal(reply));
  say(`${reply.replayed ? "had replied" : "replied"} to ${recipientAddress} (message ${message.messageId})`);
  await acknowledge(message);
}

async function acknowledge({ messageId, leaseToken }: Message): Promise<void> {
  const answer = await call("POST", `${inbox}/messages/ack`, { leaseTokens: [leaseToken] });
  if (answer.status !== 200) say(`could not acknowledge message ${messageId}: ${refusal(answer)}`);
  else if (answer.body.refused?.length) say(`held message ${messageId} for too long: it will come again`);
  else say(`acknowledged message ${messageId}`);
}

async function giveBack({ messageId, leaseToken }: Message, reason: string, retryAfterSeconds?: number): Promise<void> {
  const given = { leaseTokens: [leaseToken], reason, retryAfterSeconds };
  const answer = await call("POST", `${inbox}/messages/nack`, given);
  say(`${answer.status === 200 ? "gave back" : "could not give back"} message ${messageId}: ${reason}`);
}

/** Calls the service until it answers: all that is called here is safe to repeat. A stopping agent tries only once. */
async function call(method: string, path: string, body: unknown, waitSeconds = 0): Promise<Answer> {
  for (let failures = 0; ; failures++) {
    const answer = await callOnce(method, path, body, waitSeconds);
    if (!TRY_AGAIN.has(answer.status) || stopping.signal.aborted) return answer;
    // Growing, and never twice the same, so that not all agents come back at one moment.
    const seconds = Math.max(answer.retryAfterSeconds, Math.min(10, 2 ** failures / 2)) * (1 + Math.random() / 4);
    say(`${method} ${path}: ${refusal(answer)}, trying again in ${seconds.toFixed(1)} s`);
    await pause(seconds);
  }
}

async function callOnce(method: string, path: string, body: unknown, waitSeconds: number): Promise<Answer> {
  const timeout = AbortSignal.timeout((waitSeconds + 10) * 1000);
  try {
    const response = await fetch(service + path, {
      method,
      headers: { "content-type": "application/json", ...(key && { "x-cams-key": key }) },
      body: JSON.stringify(body),
      // Stopping cuts short what only waits; what was begun is brought to its end.
      signal: waitSeconds > 0 ? AbortSignal.any([timeout, stopping.signal]) : timeout,
    });
    const text = await response.text();
    return {
      status: response.status,
      retryAfterSeconds: Number(response.headers.get("retry-after")) || 0,
      replayed: response.headers.has("idempotent-replayed"),
      body: /json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : {},
    };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    const detail = `${service} does not answer (${cause?.message || cause?.code || message})`;
    return { status: 0, retryAfterSeconds: 0, replayed: false, body: { detail } };
  }
}

function refusal({ status, body: { code, detail } }: Answer): string {
  if (status === 0) return `${detail}`;
  if (code) return `${code}: ${detail}${status === 401 ? " Is CAMS_KEY right?" : ""}`;
  return `${service} answers ${status}, but not as CAMS does: is CAMS_URL right?`;
}

async function pause(seconds: number): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal: stopping.signal }).catch(() => {});
}

function say(text: string): void {
  console.log(`${address}: ${text}`);
}
