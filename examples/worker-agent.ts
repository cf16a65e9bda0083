// An agent that works: it claims tasks, keeps its leases on them while it works, and completes or fails them.
//
//   npx node examples/worker-agent.ts [--id worker-1] [--definition ID] [--concurrency 4]
//
// With a definition it takes tasks from that pool too. Every process needs an id of its own.
// CAMS_URL (http://127.0.0.1:8080), CAMS_KEY (where the service asks for one), HEARTBEAT_SECONDS (60, at least 5),
// LEASE_SECONDS (30, at least 5)
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

/** A task in hand. */
interface Job {
  taskId: string;
  type: string;
  payload: Record<string, unknown>;
  attempt: number;
  leaseToken: string;
  /** Aborted when the task is ours no more: cancelled, timed out, taken back. What it comes to then counts for nothing. */
  signal: AbortSignal;
  lost: AbortController;
  /** What is set here is told whenever the lease is renewed; `usage` also at the end. */
  progress?: { percent?: number; message?: string };
  usage: { tokens?: number; costUsd?: number; toolCalls?: number };
}

type Task = Omit<Job, "signal" | "lost" | "usage">;
type Told = { messageType: string; leaseToken: string };

interface Answer {
  status: number;
  retryAfterSeconds: number;
  body: { code?: string; detail?: string; state?: string; tasks?: Task[]; messages?: Told[] };
}

/** An error that another attempt would only repeat. */
class Hopeless extends Error {}

// Yours go here, by type of task: what a handler answers is the task's result, what it throws fails the attempt.
const handlers = new Map<string, (job: Job) => object | Promise<object>>(Object.entries({ sum, wait, fail }));

function sum({ payload: { numbers } }: Job) {
  if (!Array.isArray(numbers)) throw new Hopeless("payload.numbers must be a list");
  return { sum: numbers.reduce((sum, number) => sum + Number(number), 0) };
}

async function wait(job: Job) {
  const seconds = Number(job.payload.seconds ?? 1);
  job.progress = { message: `waits for ${seconds} s` };
  await sleep(seconds * 1000, undefined, { signal: job.signal });
  return { waited: seconds };
}

function fail({ payload: { times = Number.POSITIVE_INFINITY, hopeless = false }, attempt }: Job) {
  if (attempt > Number(times)) return { succeededInAttempt: attempt };
  throw new (hopeless ? Hopeless : Error)("it was asked to");
}

const text = { type: "string" } as const;
const { values: options } = parseArgs({
  options: { id: { ...text, default: "worker-1" }, definition: text, concurrency: { ...text, default: "4" } },
});
const service = (process.env.CAMS_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const key = process.env.CAMS_KEY;
const { id } = options;
const concurrency = Number(options.concurrency);
const heartbeatIntervalSeconds = Number(process.env.HEARTBEAT_SECONDS || 60);
const leaseSeconds = Number(process.env.LEASE_SECONDS || 30);
const me = `/v1/agents/${encodeURIComponent(id)}`;
const inbox = `/v1/agent-inboxes/${encodeURIComponent(id)}`;
/** No answer, too many requests, and what a service or the proxy before it says while it starts or is busy. */
const TRY_AGAIN = new Set([0, 429, 502, 503, 504]);
const inHand = new Map<Job, Promise<void>>();
const stopping = new AbortController();
let woken = new AbortController();
const say = (text: string) => console.log(`${id}: ${text}`);
const pause = (seconds: number, signal?: AbortSignal) => sleep(seconds * 1000, undefined, { signal }).catch(() => {});

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopping.abort());
try {
  if (!/^https?:/.test(service)) throw new Error(`CAMS_URL must be an http or https URL, not ${service}`);
  await register();
  heartbeat();
  listen();
  // From then on nothing more is claimed: the claim that waits just now is answered, perhaps with tasks that are ours to end.
  stopping.signal.addEventListener("abort", () => call("POST", `${me}/stop`, { drain: true }));
  await claimTasks();
  say(`ends; tasks in hand: ${inHand.size}`);
  await Promise.all(inHand.values());
  // One that drained is stopped by now; this is for one that was paused.
  await call("POST", `${me}/stop`, {});
  await report("UNHEALTHY", "stopped");
} catch (error) {
  say((error as Error).message);
  if (!stopping.signal.aborted) process.exit(1);
}
say("stopped");
process.exit(0);

/** Registers the agent, or finds it registered, and starts it. One that somebody paused stays paused. */
async function register(): Promise<void> {
  // The definition without a version: the one that is current now.
  const definition = options.definition && { id: options.definition };
  const given = { config: { maxConcurrentTasks: concurrency, heartbeatIntervalSeconds }, definition };
  let answer = await call("POST", "/v1/agents", { id, name: id, type: "worker", ...given });
  if (answer.body.code === "agent_exists") answer = await call("PUT", me, given);
  if (![200, 201].includes(answer.status)) throw new Error(`cannot register: ${refusal(answer)}`);
  const { state = "" } = answer.body;
  // Found running it was left by a process that died: with a restart its tasks return now, not when their leases end.
  if (state !== "PAUSED") await command(["RUNNING", "DRAINING"].includes(state) ? "restart" : "start");
}

async function command(verb: string): Promise<void> {
  const answer = await call("POST", `${me}/${verb}`, {});
  say(answer.status === 200 ? `is ${answer.body.state}` : `could not ${verb}: ${refusal(answer)}`);
}

/** Runs beside the work, so that an agent busy with a long task does not look like a dead one. */
async function heartbeat(): Promise<void> {
  for (;;) {
    await report("HEALTHY");
    await pause(heartbeatIntervalSeconds);
  }
}

async function report(status: "HEALTHY" | "UNHEALTHY", details?: string): Promise<void> {
  const answer = await call("POST", "/v1/agent-health-check", { aiAgentAddress: id, status, details });
  say(answer.status === 200 ? `reported ${status}` : `could not report: ${refusal(answer)}`);
}

/** Hears what the agent is told (`agent.stop`, `agent.resume` …) sooner than it would be found out. */
async function listen(): Promise<void> {
  for (;;) {
    const answer = await call("POST", `${inbox}/messages/pull`, { maxMessages: 100, waitSeconds: 20 }, 20);
    const messages = answer.body.messages ?? [];
    const leaseTokens = messages.map(({ leaseToken }) => leaseToken);
    if (leaseTokens.length > 0) await call("POST", `${inbox}/messages/ack`, { leaseTokens });
    // Not what was said counts, which may be old by now, but what is: of the agent, and of what it has in hand.
    woken.abort();
    const told = messages.filter(({ messageType }) => messageType.startsWith("agent."));
    for (const { messageType } of told) say(`was told ${messageType}`);
    if (told.length > 0) for (const job of inHand.keys()) renew(job);
    if (answer.status !== 200) await pause(5);
  }
}

async function claimTasks(): Promise<void> {
  for (let told = ""; !stopping.signal.aborted; ) {
    const maxTasks = concurrency - inHand.size;
    if (maxTasks === 0) {
      await Promise.race(inHand.values());
      continue;
    }
    const answer = await call("POST", `${me}/tasks/claim`, { maxTasks, leaseSeconds, waitSeconds: 20 }, 20);
    for (const task of answer.body.tasks ?? []) begin(task);
    const why = answer.status === 200 || stopping.signal.aborted ? "" : refusal(answer);
    if (why && why !== told) say(`cannot claim: ${why}`);
    told = why;
    if (answer.body.code === "agent_not_found") await register();
    else if (why) await standBy();
  }
}

/** Starts again when it was found silent, and is back; whatever else keeps it from working, somebody decided. */
async function standBy(): Promise<void> {
  const { body } = await call("GET", me, undefined);
  if (body.state === "FAILED") return command("start");
  woken = new AbortController();
  await pause(5, AbortSignal.any([woken.signal, stopping.signal]));
}

function begin(task: Task): void {
  const lost = new AbortController();
  const job: Job = { ...task, lost, signal: lost.signal, usage: {} };
  const work = workOn(job).finally(() => inHand.delete(job));
  inHand.set(job, work);
  keep(job);
}

async function workOn(job: Job): Promise<void> {
  const { taskId, type, attempt, signal } = job;
  say(`begins ${type} ${taskId}, attempt ${attempt}`);
  let end: [verb: string, given: object];
  try {
    const handler = handlers.get(type);
    if (!handler) throw new Hopeless(`${id} has no handler for ${type}`);
    end = ["complete", { result: await handler(job) }];
  } catch (error) {
    end = ["fail", { error: { message: (error as Error).message }, retryable: !(error instanceof Hopeless) }];
  }
  if (signal.aborted) return;
  const answer = await tell(job, end[0], { ...end[1], usage: job.usage }, signal);
  say(`${type} ${taskId} is ${answer.body.state ?? `not ours to end: ${refusal(answer)}`}`);
}

/** Renews the lease whenever a third of it is over, until the work has ended. */
async function keep(job: Job): Promise<void> {
  while (inHand.has(job)) {
    await pause(leaseSeconds / 3);
    await renew(job);
  }
}

/** What is not renewed before its lease ends is lost: somebody else may have it then. */
async function renew(job: Job): Promise<void> {
  if (!inHand.has(job) || job.signal.aborted) return;
  const { taskId, type, progress, usage, lost } = job;
  const answer = await tell(job, "progress", { progress, usage }, AbortSignal.timeout(leaseSeconds * 600));
  if (answer.status === 200 || !inHand.has(job)) return;
  say(`loses ${type} ${taskId}: ${refusal(answer)}`);
  lost.abort();
}

function tell({ taskId, leaseToken }: Job, verb: string, given: object, signal: AbortSignal): Promise<Answer> {
  return call("POST", `/v1/tasks/${taskId}/${verb}`, { leaseToken, ...given }, 0, signal);
}

/** Calls the service until it answers or `signal` says that nobody waits for it: all that is called is safe to repeat. */
async function call(method: string, path: string, body: unknown, wait = 0, signal = stopping.signal): Promise<Answer> {
  for (let failures = 0; ; failures++) {
    const answer = await callOnce(method, path, body, wait);
    if (!TRY_AGAIN.has(answer.status) || signal.aborted) return answer;
    // Growing, and never twice the same, so that not all agents come back at one moment.
    const seconds = Math.max(answer.retryAfterSeconds, Math.min(10, 2 ** failures / 2)) * (1 + Math.random() / 4);
    say(`${method} ${path}: ${refusal(answer)}, trying again in ${seconds.toFixed(1)} s`);
    await pause(seconds, signal);
  }
}

async function callOnce(method: string, path: string, given: unknown, wait: number): Promise<Answer> {
  try {
    const response = await fetch(service + path, {
      method,
      headers: { "content-type": "application/json", ...(key && { "x-cams-key": key }) },
      ...(given !== undefined && { body: JSON.stringify(given) }),
      signal: AbortSignal.timeout((wait + 10) * 1000),
    });
    const body = (await response.json().catch(() => ({}))) as Answer["body"];
    return { status: response.status, retryAfterSeconds: Number(response.headers.get("retry-after")) || 0, body };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    const why = cause?.message || cause?.code || message;
    return { status: 0, retryAfterSeconds: 0, body: { detail: `${service} does not answer (${why})` } };
  }
}

function refusal({ status, body: { code, detail } }: Answer): string {
  if (code) return `${code}: ${detail}${status === 401 ? " Is CAMS_KEY right?" : ""}`;
  return detail ?? `${service} answers ${status}, but not as CAMS does: is CAMS_URL right?`;
}
