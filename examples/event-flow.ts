// An alert wakes an agent: an event becomes a task, its end becomes events, and a follower that was killed misses none of
// them: `npm run demo:events`. The service runs on a free port, with data of its own that are thrown away at the end.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elapsed, tell, title } from "./demo/print.ts";
import type { Running } from "./demo/processes.ts";
import { api, expect, stage, startAgent, until, url } from "./demo/stage.ts";

interface Task {
  taskId: string;
  type: string;
  leaseToken: string;
  payload: { subject: string; data: { severity: string } };
}
interface Published {
  eventId: string;
  messages: number;
  tasks: number;
}
interface Listed {
  eventId: string;
  event: { type: string };
}

const AGENT = "qa-1";
const OFFICE = "office@example";
const data = { severity: "critical", picture: "black for 40 s" };
/** What the follower saw, by id. */
const seen = new Set<string>();

await stage("demo:events", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-follower-"));
  await story(join(folder, "position")).finally(() => rm(folder, { recursive: true, force: true }));
});

async function story(position: string): Promise<void> {
  title("The service has started, with the definitions of examples/definitions; somebody follows the log");
  tell(`cams ready on ${url}`);
  const since = new Date().toISOString();
  const follower = await follow(position);

  title("An agent of the qa-manager starts and waits for work; an office wants to hear of what becomes of it");
  const definition = { id: "qa-manager" };
  await done(201, "POST", "/v1/agents", { id: AGENT, name: "QA", type: "worker", definition });
  await done(200, "POST", `/v1/agents/${AGENT}/start`, {});
  await done(201, "POST", "/v1/agent-inboxes", { aiAgentAddress: OFFICE, inboxDestinationType: "PULL_QUEUE" });
  const filters = { definitionId: definition.id };
  await done(201, "POST", "/v1/subscriptions", {
    ...{ eventType: "agent.task.*", filters },
    to: { aiAgentAddress: OFFICE },
  });
  const waiting = claim();

  title("Who would get an alert?");
  const alert = { type: "alert.blackscreen", payload: data };
  const { matched, missed } = await done<Matches>(200, "POST", "/v1/subscriptions/match", alert);
  for (const { to, eventType, priority, fromVersion } of matched)
    tell(`${to.definitionId} ${fromVersion}, by its trigger ${eventType}: a ${priority} task`);
  for (const { to, because = [] } of missed)
    tell(`not ${to.definitionId}: ${because.map(({ path }) => path).join()} is otherwise`);
  expect(
    matched.some(({ to }) => to.definitionId === definition.id),
    "the qa-manager would get it",
  );

  title("The alert is published, as a CloudEvent; and once more, as after a lost answer");
  const published = await publish();
  const again = await publish();
  expect(published.tasks === 1 && again.eventId === published.eventId, "it is one event, with one task");
  tell(`event ${published.eventId}: ${published.tasks} task; the second time it was the same event`);
  const task = await waiting;
  tell(`${AGENT} is awake, and has ${task.type} of ${task.payload.subject}, ${task.payload.data.severity}`);
  await seesAll(since, "the follower has seen all of it");

  title("The follower is killed (SIGKILL); meanwhile the task is done, and a schedule is run by hand");
  await follower.end("SIGKILL");
  const before = seen.size;
  const result = { cause: "the cable" };
  await done(200, "POST", `/v1/tasks/${task.taskId}/complete`, { leaseToken: task.leaseToken, result });
  await run({ name: "Nightly regression", eventType: "schedule.regression", cron: "30 2 * * *" });
  const { type } = await claim();
  expect(type === "schedule.regression", "the schedule's event is a task too");
  tell(`${AGENT} has ${type}: the qa-manager has a trigger for that`);

  title("The office was told, by messages");
  const told = await until("the office has been told of both tasks", 50, async () => {
    const types = await pending();
    return types.length >= 3 ? types : undefined;
  });
  tell(told.join(", "));
  expect(told.includes("agent.task.completed"), "the office heard that the task is done");

  title("The follower is back, and goes on behind its last place");
  expect(seen.size === before, "who is dead sees nothing");
  await follow(position);
  const events = await seesAll(since, "the follower has caught up");
  tell(`of ${events.length} events it has seen all, ${events.length - before} of them after it came back`);
  title(`All as it should be, in ${elapsed()}`);
}

interface Matches {
  matched: { to: { definitionId?: string }; eventType: string; priority: string; fromVersion?: string }[];
  missed: { to: { definitionId?: string }; because?: { path: string }[] }[];
}

/** A follower in a process of its own that has begun. */
async function follow(position: string): Promise<Running> {
  const begun = Promise.withResolvers<void>();
  const running = startAgent("follow-events.ts", [], { POSITION_FILE: position }, (line) => {
    const [, text = line, eventId] = /^(follow: \S+ \S*).*\((.*)\)$/.exec(line) ?? [];
    tell(text);
    if (eventId) seen.add(eventId);
    else begun.resolve();
  });
  await begun.promise;
  return running;
}

/** Waits until the follower has seen every event of the log since then. */
function seesAll(since: string, what: string): Promise<Listed[]> {
  return until(what, 50, async () => {
    const { items } = await done<{ items: Listed[] }>(200, "GET", `/v1/events?pageSize=1000&after=${since}`);
    return items.every(({ eventId }) => seen.has(eventId)) ? items : undefined;
  });
}

async function claim(): Promise<Task> {
  const given = { waitSeconds: 20 };
  const { tasks } = await done<{ tasks: Task[] }>(200, "POST", `/v1/agents/${AGENT}/tasks/claim`, given);
  const [task] = tasks;
  if (!task) throw new Error("not so: there is a task to claim");
  return task;
}

/** Publishes the alert as its source would. */
async function publish(): Promise<Published> {
  const attributes = { specversion: "1.0", id: "7-2207", source: "https://monitor.example.com", subject: "device/7" };
  const response = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify({ ...attributes, type: "alert.blackscreen", data }),
  });
  expect(response.status === 202, `the alert is taken, not ${response.status}`);
  return (await response.json()) as Published;
}

/** Makes a schedule and runs it by hand. */
async function run(schedule: object): Promise<void> {
  const given = { ...schedule, timeZone: "Europe/Berlin" };
  const { scheduleId, nextRunAt } = await done<Record<string, string>>(201, "POST", "/v1/schedules", given);
  await done(202, "POST", `/v1/schedules/${scheduleId}/run`, {});
  tell(`it would have been due at ${nextRunAt}`);
}

/** What has come for the office, in order. */
async function pending(): Promise<string[]> {
  const path = `/v1/messages?recipientAddress=${OFFICE}`;
  const { items } = await done<{ items: { messageType: string }[] }>(200, "GET", path);
  return items.map(({ messageType }) => messageType).reverse();
}

/** Calls the service, which is to answer so. */
async function done<T>(wanted: number, method: string, path: string, given?: unknown): Promise<T> {
  const { status, body } = await api<T & { code?: string }>(method, path, given);
  expect(status === wanted, `${method} ${path} answers ${wanted}, not ${status} ${body.code ?? ""}`);
  return body;
}
