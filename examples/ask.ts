// Asks an agent a question and prints its reply.
//
//   npx node examples/ask.ts [address] [question]
//
// CAMS_URL (http://127.0.0.1:8080), CAMS_KEY (where the service asks for one), TIMEOUT_SECONDS (30)
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

interface Reply {
  senderAddress: string;
  correlationId?: string;
  payload: Record<string, unknown>;
  leaseToken: string;
}

interface Body {
  code?: string;
  detail?: string;
  messageId?: string;
  status?: string;
  messages?: Reply[];
}

const service = (process.env.CAMS_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const key = process.env.CAMS_KEY;
const [recipient = "echo@example", question = "Is anybody there?"] = process.argv.slice(2);
const timeoutSeconds = Number(process.env.TIMEOUT_SECONDS || 30);
const correlationId = randomUUID();
const me = `ask-${correlationId.slice(0, 8)}@example`;
const inbox = `/v1/agent-inboxes/${me}`;

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => leave().then(() => process.exit(130)));
try {
  if (!/^https?:/.test(service) || !URL.canParse(service))
    throw new Error(`CAMS_URL must be an http or https URL, not ${service}`);
  // The reply needs somewhere to go. No health is reported: an inbox that never reported is routed to.
  await call("POST", "/v1/agent-inboxes", { aiAgentAddress: me, inboxDestinationType: "PULL_QUEUE" });
  await ask().finally(leave);
} catch (error) {
  console.error(`ask: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function ask(): Promise<void> {
  const start = performance.now();
  const { messageId } = await call("POST", "/v1/messages", {
    recipientAddress: recipient,
    senderAddress: me,
    messageType: "question",
    payload: { text: question },
    correlationId,
    // An agent that comes back later need not answer: nobody waits any more.
    timeToLiveSeconds: timeoutSeconds,
  });
  console.log(`ask: asked ${recipient} (message ${messageId})`);
  const reply = await replyBefore(start + timeoutSeconds * 1000);
  if (!reply) {
    const { status } = await call("GET", `/v1/messages/${messageId}`);
    throw new Error(`no reply from ${recipient} in ${timeoutSeconds} s: the question is ${status}`);
  }
  const milliseconds = Math.round(performance.now() - start);
  console.log(
    `ask: ${reply.senderAddress} replied after ${milliseconds} ms: ${reply.payload.text ?? JSON.stringify(reply.payload)}`,
  );
  await call("POST", `${inbox}/messages/ack`, { leaseTokens: [reply.leaseToken] });
}

async function replyBefore(end: number): Promise<Reply | undefined> {
  for (let left = timeoutSeconds; left > 0; left = Math.ceil((end - performance.now()) / 1000)) {
    try {
      const { messages } = await call("POST", `${inbox}/messages/pull`, { waitSeconds: Math.min(30, left) });
      const reply = messages?.find((message) => message.correlationId === correlationId);
      if (reply) return reply;
    } catch (error) {
      // The question is safe: a service that restarts while we wait does not end the waiting.
      console.log(`ask: still waiting, although ${(error as Error).message}`);
      await sleep(1000);
    }
  }
  return undefined;
}

async function leave(): Promise<void> {
  await call("DELETE", inbox).catch(() => {});
}

/** @throws Error in one line, when there is no answer or it is a refusal */
async function call(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(service + path, {
    method,
    headers: { "content-type": "application/json", ...(key && { "x-cams-key": key }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(40_000),
  }).catch(({ message, cause }: Error & { cause?: { code?: string; message?: string } }) => {
    const reason = cause?.message || cause?.code || message;
    throw new Error(`${service} does not answer (${reason}): is the service running, CAMS_URL right?`);
  });
  const answer = (await response.json().catch(() => ({}))) as Body;
  if (response.ok) return answer;
  throw new Error(
    answer.code
      ? `${answer.code}: ${answer.detail}${response.status === 401 ? " Is CAMS_KEY right?" : ""}`
      : `${service} answers ${response.status}: is CAMS_URL right?`,
  );
}
