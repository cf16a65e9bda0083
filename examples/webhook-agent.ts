// An agent reached by webhook: CAMS calls it with each message; it prints what came, once.
//
//   npx node examples/webhook-agent.ts [address]
//
// CAMS_URL (http://127.0.0.1:8080), CAMS_KEY (where the service asks for one), AGENT_ADDRESS (webhook@example),
// HEARTBEAT_SECONDS (60, at least 5), WEBHOOK_PORT (9090), WEBHOOK_URL (http://127.0.0.1:9090/inbox: where CAMS reaches
// this agent), SECRET_FILE (<address>.secret)
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";

type Event = { id: string; source: string; data: unknown };
type Answer = { status: number; code?: string; detail?: string; secret?: string };

const service = (process.env.CAMS_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const key = process.env.CAMS_KEY;
const address = process.argv[2] || process.env.AGENT_ADDRESS || "webhook@example";
const secretFile = process.env.SECRET_FILE || `${address}.secret`;
const heartbeatIntervalSeconds = Number(process.env.HEARTBEAT_SECONDS || 60);
const inbox = `/v1/agent-inboxes/${encodeURIComponent(address)}`;
const stopping = new AbortController();
const MOST_BYTES = 2 * 1024 * 1024;
/** This process's last messages. What must never happen twice keeps their ids in a database, beside its effect. */
const handled = new Map<string, Promise<void>>();
const REMEMBERED = 10_000;
let webhook: Webhook | undefined;
const say = (line: string) => console.log(`${address}: ${line}`);
const pause = (seconds: number) => sleep(seconds * 1000, undefined, { signal: stopping.signal }).catch(() => {});

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopping.abort());
const server = createServer(async (req, res) => res.writeHead(await receive(req).catch(() => 400)).end());
try {
  await once(server.listen(Number(process.env.WEBHOOK_PORT || 9090), "127.0.0.1"), "listening");
  await register();
  for (; !stopping.signal.aborted; await pause(heartbeatIntervalSeconds)) await report("HEALTHY");
  // From here on messages are held: they use up no attempts on an agent that is not there.
  await report("UNHEALTHY");
} catch (error) {
  say((error as Error).message);
  if (!stopping.signal.aborted) process.exit(1);
}
// What is being handled is brought to its end.
server.close(() => say("stopped"));

/** Answers the status: 2xx ends the message, all else brings it again. */
async function receive(req: IncomingMessage): Promise<number> {
  // Anybody may call: nothing without a length, or longer than a message can be, is read.
  if (!(Number(req.headers["content-length"]) <= MOST_BYTES)) return 413;
  if (!webhook) return 503;
  let event: Event;
  try {
    event = webhook.verify(await text(req), req.headers as Record<string, string>) as Event;
  } catch (error) {
    say(`refused a call: ${(error as Error).message}`);
    return 400;
  }
  const known = handled.get(event.id);
  if (known) say(`had message ${event.id} already`);
  const work = known ?? handle(event);
  handled.set(event.id, work);
  const [oldest = ""] = handled.keys();
  if (handled.size > REMEMBERED) handled.delete(oldest);
  try {
    // Handled first, answered after: whoever dies in between gets the message again. CAMS waits 10 s for the answer;
    // what takes longer is only written down here.
    await work;
    return 204;
  } catch (error) {
    handled.delete(event.id);
    say(`could not handle message ${event.id}: ${(error as Error).message}`);
    return 500;
  }
}

async function handle({ id, source, data }: Event): Promise<void> {
  say(`received message ${id} from ${source}: ${JSON.stringify(data)}`);
}

async function register(): Promise<void> {
  const inboxName = process.env.WEBHOOK_URL || `http://127.0.0.1:${(server.address() as AddressInfo).port}/inbox`;
  const given = { inboxDestinationType: "HTTP_ENDPOINT", inboxName, heartbeatIntervalSeconds };
  let answer = await call("POST", "/v1/agent-inboxes", { aiAgentAddress: address, ...given });
  // Known from before, perhaps elsewhere. This also ends a pause after failures.
  if (answer.code === "inbox_exists") answer = await call("PUT", inbox, given);
  say(`${answer.status === 201 ? "registered" : "is registered already"} at ${inboxName}`);
  let secret = answer.secret || (existsSync(secretFile) && readFileSync(secretFile, "utf8").trim());
  if (!secret) {
    // It is shown once: whoever lost it, or never got that answer, needs another.
    secret = (await call("POST", `${inbox}/rotate-secret`)).secret as string;
    say("rotated the secret");
  }
  webhook = new Webhook(secret);
  writeFileSync(`${secretFile}.new`, `${secret}\n`, { mode: 0o600, flush: true });
  renameSync(`${secretFile}.new`, secretFile);
}

async function report(status: "HEALTHY" | "UNHEALTHY"): Promise<void> {
  await call("POST", "/v1/agent-health-check", { aiAgentAddress: address, status });
  say(`reported ${status}`);
}

/** Calls the service until it answers: all that is called here may be repeated. A stopping agent tries only once. */
async function call(method: string, path: string, given = {}): Promise<Answer> {
  const headers = { "content-type": "application/json", ...(key && { "x-cams-key": key }) };
  const init = { method, headers, body: JSON.stringify(given) };
  for (let seconds = 0.5; ; seconds = Math.min(10, seconds * 2)) {
    const answer = await fetch(service + path, { ...init, signal: AbortSignal.timeout(10_000) }).then(
      async (res): Promise<Answer> => ({ ...((await res.json().catch(() => ({}))) as Answer), status: res.status }),
      ({ message }): Answer => ({ status: 599, detail: `no answer (${message})` }),
    );
    if (answer.status < 300 || answer.code === "inbox_exists") return answer;
    const hint = answer.status === 401 ? " Is CAMS_KEY right?" : "";
    const refusal = `${method} ${service}${path}: ${answer.code ?? answer.status} ${answer.detail ?? ""}${hint}`;
    if ((answer.status < 500 && answer.status !== 429) || stopping.signal.aborted) throw new Error(refusal);
    say(`${refusal}, trying again`);
    await pause(seconds * (1 + Math.random() / 4));
  }
}
