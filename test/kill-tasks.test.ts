import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { post, untilKilled } from "./support/killed.ts";
import { type ServiceProcess, startProcess } from "./support/process.ts";

const ROUNDS = 4;
const SUBMITTERS = 4;
const WORKERS = 4;
const AGENTS = ["north", "south"];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** What clients were told; all of it must be true afterwards. */
const told = {
  submitted: new Set<string>(),
  claimed: new Map<string, number>(),
  completed: new Map<string, number>(),
};

function submitter(url: string): Promise<void> {
  return untilKilled(async (count) => {
    const { status, body } = await post(url, `/v1/agents/${AGENTS[count % 2]}/tasks`, { type: "report" });
    if (status === 202) told.submitted.add(body.taskId);
  });
}

function worker(url: string, agent: string): Promise<void> {
  return untilKilled(async (count) => {
    const { body } = await post(url, `/v1/agents/${agent}/tasks/claim`, { maxTasks: 3, waitSeconds: 1 });
    const tasks: { taskId: string; leaseToken: string }[] = body.tasks ?? [];
    for (const { taskId } of tasks) told.claimed.set(taskId, (told.claimed.get(taskId) ?? 0) + 1);
    for (const { taskId, leaseToken } of tasks) {
      const done = { leaseToken, result: { count }, usage: { tokens: 1 } };
      if ((await post(url, `/v1/tasks/${taskId}/complete`, done)).status === 200) told.completed.set(taskId, count);
    }
  });
}

async function kill(service: ServiceProcess): Promise<void> {
  // A slow machine takes longer to be in the middle of it.
  const [submitted, completed] = [told.submitted.size, told.completed.size];
  const enough = () => Math.min(told.submitted.size - submitted - 20, told.completed.size - completed - 10);
  await expect.poll(enough, { timeout: 10_000, interval: 5 }).toBeGreaterThan(0);
  await delay(Math.random() * 300);
  await service.end("SIGKILL");
}

test("the service killed with SIGKILL while tasks are claimed and completed: all that was answered is there, nothing twice", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const service = await startProcess({ DATABASE_URL: database.url });
    if (round === 0)
      for (const id of AGENTS) {
        const config = { maxConcurrentTasks: 1000, taskQueueSize: 100_000 };
        await post(service.url, "/v1/agents", { id, name: id, type: "worker", config });
        await post(service.url, `/v1/agents/${id}/start`, {});
      }
    const clients = [
      ...Array.from({ length: SUBMITTERS }, () => submitter(service.url)),
      ...Array.from({ length: WORKERS }, (_, n) => worker(service.url, AGENTS[n % 2] as string)),
    ];
    await Promise.all([kill(service), ...clients]);
  }

  const { rows } = await run(
    database.url,
    `select task_id, case when lease_token is null then 'SUBMITTED' else 'WORKING' end as state, null as count, attempt
     from cams.tasks
     union all select task_id, state, (result ->> 'count')::integer, attempt from cams.task_archive`,
  );
  const stored = new Map(rows.map((row) => [row.task_id as string, row]));
  expect(told.submitted.size).toBeGreaterThan(100);
  expect(told.completed.size).toBeGreaterThan(40);
  expect(stored.size, "no task is there twice").toBe(rows.length);
  expect(
    [...told.submitted].filter((id) => !stored.has(id)),
    "submitted and gone",
  ).toEqual([]);
  const undone = [...told.completed].filter(([id, count]) => {
    const row = stored.get(id);
    return row?.state !== "COMPLETED" || row.count !== count;
  });
  expect(undone, "completed and back, or with another's result").toEqual([]);
  // No lease has run out within this test's seconds: whatever was claimed twice was in two hands.
  expect(
    [...told.claimed].filter(([, times]) => times > 1),
    "in two hands",
  ).toEqual([]);
  expect(
    [...told.claimed.keys()].filter((id) => stored.get(id)?.state === "SUBMITTED"),
    "claimed and back",
  ).toEqual([]);
  expect(
    rows.filter(({ attempt }) => attempt > 1),
    "attempts that nobody made",
  ).toEqual([]);
}, 60_000);
