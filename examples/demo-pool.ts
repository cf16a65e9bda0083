// Two workers share a pool of tasks, one of them is killed while it works, and every task is done, once: `npm run demo:pool`.
// The service runs on a free port, with data of its own that are thrown away at the end.
import { setTimeout as sleep } from "node:timers/promises";
import { elapsed, seconds, tell, title } from "./demo/print.ts";
import type { Running } from "./demo/processes.ts";
import { api, expect, stage, startAgent, until, url } from "./demo/stage.ts";

interface Task {
  taskId: string;
  type: string;
  name: string;
  state: string;
  agentId?: string;
  dependsOn: string[];
  attempts: { number: number; agentId: string; at: string; outcome: string }[];
  result?: { sum?: number };
  startedAt?: string;
  finishedAt?: string;
}

const POOL = "counting";
const LEASE_SECONDS = "5";
const tasks = `/v1/tasks?definitionId=${POOL}&pageSize=100`;
/** For each part of the work five tasks that take a second, and a sum that waits for all five. */
const PARTS = [1, 2, 3, 4, 5, 6];

await stage("demo:pool", story);

async function story(): Promise<void> {
  title("The service has started, with data that will be thrown away");
  tell(`cams ready on ${url}`);

  title("A definition says what its agents are: at most four tasks at once each");
  const document = {
    kind: "Agent",
    metadata: { id: POOL, name: "Counting", version: "1.0.0" },
    config: { maxParallelTasks: 4 },
  };
  await done(201, "POST", "/v1/definitions", document);
  await done(200, "POST", `/v1/definitions/${POOL}/versions/1.0.0/publish`, {});
  tell(`${POOL} 1.0.0 is published, and current`);

  title("40 tasks go into its pool; nobody works yet, so they wait");
  await submitAll();

  title("Two workers start, each a process of its own");
  const ana = startWorker("ana");
  const ben = startWorker("ben");
  await until("ana has done some, and has begun others", 50, async () => {
    const hers = (await allTasks()).filter(({ agentId }) => agentId === "ana");
    const are = (state: string) => hers.filter((task) => task.state === state).length;
    return (are("COMPLETED") >= 4 && are("WORKING") >= 2) || undefined;
  });

  title("ana is killed (SIGKILL) while it works: it can tell nobody");
  await ana.end("SIGKILL");
  // What it had sent just before may still arrive.
  await sleep(500);
  const orphans = (await allTasks()).filter(({ state, agentId }) => state === "WORKING" && agentId === "ana");
  expect(orphans.length > 0, "ana dies with tasks in hand");
  tell(`${orphans.length} tasks are in dead hands: their leases end ${LEASE_SECONDS} s after ana's last word`);

  title("ben goes on, and gets those when their leases have ended");
  const all = await until("all tasks are COMPLETED", 200, async () => {
    const found = await allTasks();
    return found.every(({ state }) => state === "COMPLETED") ? found : undefined;
  });
  for (const { taskId } of orphans) tellAttempts(taskOf(all, taskId));
  checkAll(all, orphans);

  title("ben is told to end (SIGTERM) while it works: it ends what it has in hand, and nothing more");
  await endWorking(ben);
  title(`All as it should be, in ${elapsed()}`);
}

function startWorker(id: string): Running {
  const env = { HEARTBEAT_SECONDS: "5", LEASE_SECONDS };
  // The first lines tell enough.
  const told = (line: string) => !/begins|COMPLETED/.test(line) && tell(line);
  return startAgent("worker-agent.ts", ["--id", id, "--definition", POOL], env, told);
}

async function submitAll(): Promise<void> {
  const sums: string[] = [];
  for (const part of PARTS) {
    const counted: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) counted.push(await submit("wait", `count ${part}.${n}`, { seconds: 1 }));
    sums.push(await submit("sum", `sum ${part}`, { numbers: [part, part] }, counted));
  }
  await submit("sum", "total", { numbers: PARTS.map((part) => 2 * part) }, sums);
  for (const n of [1, 2, 3]) await submit("fail", `stumbles once ${n}`, { times: 1 });
  const found = await allTasks();
  const waiting = found.filter(({ dependsOn }) => dependsOn.length > 0).length;
  expect(found.length === 40 && found.every(({ state }) => state === "SUBMITTED"), "40 tasks are SUBMITTED");
  tell(`30 that take a second, 3 that fail at the first attempt, and ${waiting} that wait for others`);
}

async function submit(type: string, name: string, payload: object, dependsOn: string[] = []): Promise<string> {
  const given = { type, name, payload, dependsOn };
  return (await done<{ taskId: string }>(202, "POST", `/v1/definitions/${POOL}/tasks`, given)).taskId;
}

function checkAll(all: Task[], orphans: Task[]): void {
  for (const { type, name, attempts, dependsOn, startedAt = "" } of all) {
    const last = attempts.at(-1)?.outcome;
    const earlier = attempts.slice(0, -1);
    // INTERRUPTED: ana was killed just when its claim was answered, which was noticed.
    const fits = earlier.every(({ agentId, outcome }) =>
      outcome === "FAILED" ? type === "fail" : agentId === "ana" && /LEASE_EXPIRED|INTERRUPTED/.test(outcome),
    );
    expect(last === "COMPLETED" && fits, `${name} is done once: ${attempts.map(({ outcome }) => outcome).join(", ")}`);
    for (const id of dependsOn)
      expect((taskOf(all, id).finishedAt ?? "z") <= startedAt, `${name} began after what it depends on`);
  }
  for (const { taskId } of orphans) {
    const { name, attempts } = taskOf(all, taskId);
    const [died, went] = attempts.slice(-2);
    expect(died?.outcome === "LEASE_EXPIRED" && went?.agentId === "ben", `${name} went from ana to ben`);
  }
  expect(all.find(({ name }) => name === "total")?.result?.sum === 42, "the total is 42");
  const by = (id: string) => all.filter(({ agentId }) => agentId === id).length;
  tell(`40 tasks are COMPLETED, each once: ${by("ana")} by ana before it died, ${by("ben")} by ben; the total is 42`);
}

async function endWorking(ben: Running): Promise<void> {
  const mine: string[] = [];
  for (const n of [1, 2]) mine.push(await submit("wait", `last ${n}`, { seconds: 1.5 }));
  await until("ben works on both", 50, async () => ((await workingOn("ben")) === 2 ? true : undefined));
  expect((await ben.end("SIGTERM")) === 0, "ben exits with code 0");
  const all = await allTasks();
  for (const id of mine) {
    expect(taskOf(all, id).state === "COMPLETED", "what ben had in hand is COMPLETED");
    tellAttempts(taskOf(all, id));
  }
  const { state, stateReason } = await done<{ state: string; stateReason: string }>(200, "GET", "/v1/agents/ben");
  expect(state === "STOPPED", `ben is STOPPED, not ${state}`);
  tell(`ben is ${state} (${stateReason})`);
}

function tellAttempts({ name, attempts, finishedAt }: Task): void {
  const [first] = attempts;
  const after = seconds(Date.parse(finishedAt ?? "") - Date.parse(first?.at ?? ""));
  const what = attempts.map(({ agentId, outcome }) => `${outcome} by ${agentId}`).join(", then ");
  tell(`${name}: ${what}, ${after} after its first claim`);
}

async function allTasks(): Promise<Task[]> {
  return (await done<{ items: Task[] }>(200, "GET", tasks)).items;
}

function taskOf(all: Task[], id: string): Task {
  const task = all.find(({ taskId }) => taskId === id);
  if (!task) throw new Error(`not so: task ${id} is there`);
  return task;
}

async function workingOn(id: string): Promise<number> {
  const { status, body } = await api<{ workingTasks?: number }>("GET", `/v1/agents/${id}`);
  return status === 200 ? (body.workingTasks ?? 0) : 0;
}

/** Calls the service, which is to answer so. */
async function done<T>(wanted: number, method: string, path: string, given?: unknown): Promise<T> {
  const { status, body } = await api<T & { code?: string }>(method, path, given);
  expect(status === wanted, `${method} ${path} answers ${wanted}, not ${status} ${body.code ?? ""}`);
  return body;
}
