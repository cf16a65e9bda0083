import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, act, claim, claimed, running, submitTo, lapseTasks, tasksBecomeDue } = tasksFor(service);

const error = { code: "no_disk", message: "no disk left" };

interface Claimed {
  taskId: string;
  leaseToken: string;
}

/** An agent's claims of 40 tasks, whose attempt is the nth. */
async function fortyClaimed(n: number): Promise<Claimed[]> {
  const { id } = await running({ config: { maxConcurrentTasks: 100 } });
  await Promise.all(Array.from({ length: 40 }, () => submitTo(id, { maxAttempts: 100 })));
  await service.sql("update cams.tasks set attempt = $1::integer - 1", [n]);
  return claim(id, { maxTasks: 100, leaseSeconds: 100 });
}

/** Seconds that each task waits from just before `work` on, by the database's clock, and how long that took. */
async function waitsAfter(from: string, work: () => Promise<unknown>) {
  const [before] = await service.sql<{ now: number }>("select extract(epoch from clock_timestamp())::float8 as now");
  await work();
  const rows = await service.sql<{ wait: number; took: number }>(
    `select extract(epoch from available_at - coalesce(${from}, to_timestamp($1)))::float8 as wait,
       extract(epoch from clock_timestamp())::float8 - $1::float8 as took
     from cams.tasks`,
    [before?.now],
  );
  return { waits: rows.map(({ wait }) => wait), took: rows[0]?.took ?? 0 };
}

function expectBackOff(n: number, waits: number[], took: number): void {
  const mean = Math.min(300, 2 ** (n - 1));
  expect(waits).toHaveLength(40);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(mean * 0.8 - 0.002);
  expect(Math.max(...waits)).toBeLessThanOrEqual(mean * 1.2 + took + 0.002);
  // Those that failed together do not come back together.
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(mean * 0.1);
}

describe("a failure", () => {
  test("that may be repeated is told, and the task waits", async () => {
    const { taskId, agentId, leaseToken } = await claimed();
    const { body } = await act(taskId, "fail", { leaseToken, error });
    expect(body).toEqual({ taskId, state: "SUBMITTED", availableAt: expect.any(String) });
    expect(await taskOf(taskId)).toMatchObject({
      ...{ state: "SUBMITTED", attempt: 1, availableAt: body.availableAt },
      attempts: [{ number: 1, agentId, outcome: "FAILED", detail: error.message }],
    });
    expect(await claim(agentId)).toEqual([]);
    await tasksBecomeDue();
    expect(await claim(agentId)).toMatchObject([{ taskId, attempt: 2 }]);
  });

  test("that cannot be mended ends it, with attempts left", async () => {
    const { taskId, leaseToken } = await claimed();
    const { body } = await act(taskId, "fail", { leaseToken, error, retryable: false });
    expect(body).toEqual({ taskId, state: "FAILED" });
    expect(await taskOf(taskId)).toMatchObject({
      state: "FAILED",
      error,
      attempt: 1,
      attempts: [{ outcome: "FAILED" }],
    });
  });

  test.each([1, 2, 3, 5, 8, 9, 10, 20])("the %i. time doubles the wait, to 300 s, a fifth either way", async (n) => {
    const tasks = await fortyClaimed(n);
    const { waits, took } = await waitsAfter("null", () =>
      Promise.all(tasks.map(({ taskId, leaseToken }) => act(taskId, "fail", { leaseToken, error }))),
    );
    expectBackOff(n, waits, took);
  });

  test.each([1, 4, 12])("by a lease that runs out in the %i. attempt waits as long, from its end on", async (n) => {
    await fortyClaimed(n);
    const { waits } = await waitsAfter("lease_until", async () => {});
    expectBackOff(n, waits, 0);
  });

  test("waits as long as it says: `retryAfterSeconds`, 0 being at once", async () => {
    const { taskId, agentId, leaseToken } = await claimed();
    const { waits, took } = await waitsAfter("null", () =>
      act(taskId, "fail", { leaseToken, error, retryAfterSeconds: 3600 }),
    );
    expect(waits[0]).toBeGreaterThanOrEqual(3600 - 0.002);
    expect(waits[0]).toBeLessThanOrEqual(3600 + took + 0.002);
    await tasksBecomeDue();
    const [second] = await claim(agentId);
    await act(taskId, "fail", { leaseToken: second.leaseToken, error, retryAfterSeconds: 0 });
    expect(await claim(agentId)).toMatchObject([{ taskId, attempt: 3 }]);
  });
});

describe("maxAttempts", () => {
  test("the last attempt failed: it is FAILED with what its agent said, and all attempts", async () => {
    const { taskId, agentId, leaseToken } = await claimed({ maxAttempts: 2 });
    await act(taskId, "fail", { leaseToken, error, retryAfterSeconds: 0 });
    const [last] = await claim(agentId);
    const { body } = await act(taskId, "fail", { leaseToken: last.leaseToken, error: { message: "again" } });
    expect(body).toEqual({ taskId, state: "FAILED" });
    expect(await taskOf(taskId)).toMatchObject({
      ...{ state: "FAILED", attempt: 2, error: { message: "again" } },
      attempts: [
        { number: 1, outcome: "FAILED", detail: "no disk left" },
        { number: 2, outcome: "FAILED", detail: "again" },
      ],
    });
    expect(await claim(agentId)).toEqual([]);
  });

  test("the last attempt completed is a success", async () => {
    const { taskId, leaseToken } = await claimed({ maxAttempts: 1 });
    expect((await act(taskId, "complete", { leaseToken })).body.state).toBe("COMPLETED");
  });

  test("an attempt that its agent's stop took back does not count", async () => {
    const { taskId, agentId } = await claimed({ maxAttempts: 1 });
    for (const verb of ["stop", "start"]) await service.post(`/v1/agents/${agentId}/${verb}`, {});
    expect(await taskOf(taskId)).toMatchObject({
      ...{ state: "SUBMITTED", attempt: 0 },
      attempts: [{ number: 1, outcome: "INTERRUPTED", detail: "the agent was stopped" }],
    });
    const [again] = await claim(agentId);
    expect(again).toMatchObject({ taskId, attempt: 1 });
    await lapseTasks();
    expect((await taskOf(taskId)).state).toBe("FAILED");
  });
});
