import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type Service, startService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

/** Longest that an answer may take after what it waited for: a look without a hint comes only after 2 s. */
const PROMPT_MS = 1000;

let database: TestDatabase;
let service: Service;
let other: Service;
let calls: ReturnType<typeof tasksFor>;
let elsewhere: ReturnType<typeof tasksFor>;

beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ DB_POOL_SIZE: "2" }, database);
  other = await startService({}, database);
  calls = tasksFor(service);
  elsewhere = tasksFor(other);
});
afterAll(async () => {
  await service.close();
  await other.close();
  await database.drop();
});
beforeEach(() => service.sql("delete from cams.tasks"));

const everybodyWaits = (requests: number) =>
  expect.poll(calls.waiting, { interval: 5, timeout: 10_000 }).toBe(requests);

interface Scene {
  definitionId: string;
  agentId: string;
  /** In the hand of another agent of the same definition. */
  held: { taskId: string; agentId: string; leaseToken: string };
}

/** A running agent that has nothing to do; another one of its definition works on a pooled task. */
async function scene(): Promise<Scene> {
  const { definitionId, agentId } = await calls.worker({ approvalRequiredFor: ["pay"] });
  const { id } = await calls.running({ definition: { id: definitionId } });
  await calls.pooled(definitionId);
  const [held] = await calls.claim(id);
  return { definitionId, agentId, held };
}

type Made = (scene: Scene, by: ReturnType<typeof tasksFor>) => Promise<() => Promise<unknown>>;
/** What lets a waiting claim have a task: prepared before it waits, done while it does. */
const causes: Record<string, Made> = {
  "a submission":
    async ({ agentId }, by) =>
    () =>
      by.submitTo(agentId),
  "an idempotent submission":
    async ({ agentId }, by) =>
    () =>
      by.submitTo(agentId, {}, { "idempotency-key": `key-${Math.random()}` }),
  "a submission to the pool":
    async ({ definitionId }, by) =>
    () =>
      by.pooled(definitionId),
  "an approval": async ({ agentId }, by) => {
    const { body } = await by.submitTo(agentId, { type: "pay" });
    return () => by.act(body.taskId, "approve");
  },
  "an approval in the pool": async ({ definitionId }, by) => {
    const taskId = await by.pooled(definitionId, { type: "pay" });
    return () => by.act(taskId, "approve");
  },
  "the end of what its task depends on": async ({ agentId, held }, by) => {
    await by.submitTo(agentId, { dependsOn: [held.taskId] });
    return () => by.act(held.taskId, "complete", { leaseToken: held.leaseToken });
  },
  "the end of what a pooled task depends on": async ({ definitionId, held }, by) => {
    await by.pooled(definitionId, { dependsOn: [held.taskId] });
    return () => by.act(held.taskId, "complete", { leaseToken: held.leaseToken });
  },
  "a failure of somebody else that may be repeated at once":
    async ({ held }, by) =>
    () =>
      by.act(held.taskId, "fail", { leaseToken: held.leaseToken, error: { message: "no" }, retryAfterSeconds: 0 }),
  "the stop of who had a pooled task":
    async ({ held }, by) =>
    () =>
      by.tell(held.agentId, "stop"),
  "the quarantine of who had a pooled task":
    async ({ held }, by) =>
    () =>
      by.tell(held.agentId, "quarantine", { reason: "incident 7" }),
};

describe.each(Object.entries(causes))("a waiting claim after %s", (_, cause) => {
  test.each(["the same process", "another process"])("in %s is answered promptly", async (where) => {
    const at = await scene();
    const happen = await cause(at, where === "the same process" ? calls : elsewhere);
    const waiting = calls
      .claiming(at.agentId, { waitSeconds: 20 })
      .then(({ body }) => ({ body, at: performance.now() }));
    await everybodyWaits(1);
    // Past the first look of the listener, which is answered whatever was hinted.
    const start = performance.now();
    await happen();
    const { body, at: end } = await waiting;
    expect(body.tasks).toHaveLength(1);
    expect(end - start).toBeLessThan(PROMPT_MS);
  });
});

test("a waiting pull has the announcement promptly when what the task depends on completes", async () => {
  const { agentId, held } = await scene();
  await calls.submitTo(agentId, { dependsOn: [held.taskId] });
  await calls.pull(agentId);
  const waiting = calls.pulled(agentId, { waitSeconds: 20 });
  await everybodyWaits(1);
  const start = performance.now();
  await elsewhere.act(held.taskId, "complete", { leaseToken: held.leaseToken });
  expect((await waiting).body.messages).toMatchObject([{ messageType: "task.submitted" }]);
  expect(performance.now() - start).toBeLessThan(PROMPT_MS);
});

test("nothing after the time: an empty answer", async () => {
  const { agentId } = await scene();
  const start = performance.now();
  expect(await calls.claiming(agentId, { waitSeconds: 1 })).toMatchObject({ status: 200, body: { tasks: [] } });
  expect(performance.now() - start).toBeGreaterThanOrEqual(990);
});

test("what becomes due while somebody waits is found without a hint", async () => {
  const { agentId, held } = await scene();
  const { leaseToken } = held;
  await calls.act(held.taskId, "fail", { leaseToken, error: { message: "no" }, retryAfterSeconds: 1 });
  const { body } = await calls.claiming(agentId, { waitSeconds: 20 });
  expect(body.tasks).toMatchObject([{ taskId: held.taskId, attempt: 2, agentId }]);
});

test.each([
  ["agent_not_running", "pause", {}],
  ["inbox_inactive", "quarantine", { reason: "incident 7" }],
])("a claim that waits is refused with %s after the agent's %s", async (code, verb, body) => {
  const { agentId } = await scene();
  const waiting = calls.claiming(agentId, { waitSeconds: 20 });
  await everybodyWaits(1);
  await calls.tell(agentId, verb, body);
  expect(await waiting).toMatchObject({ status: 409, body: { code } });
});

test("of 20 that wait on one pool each of 20 tasks goes to one", async () => {
  const definitionId = await calls.defined({ maxParallelTasks: 10 });
  const agents: string[] = [];
  for (let n = 0; n < 4; n++) agents.push((await calls.running({ definition: { id: definitionId } })).id);
  const waiting = Array.from({ length: 20 }, (_, n) => calls.claiming(agents[n % 4] as string, { waitSeconds: 20 }));
  await everybodyWaits(20);
  await Promise.all(Array.from({ length: 20 }, () => elsewhere.pooled(definitionId)));
  const ids = (await Promise.all(waiting)).map(({ body }) => body.tasks[0].taskId);
  expect(new Set(ids).size).toBe(20);
});
