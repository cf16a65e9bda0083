import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, act, claim, claimed, task, tell, worker, pooled, submitTo, lapseTasks, tasksBecomeDue, ...calls } =
  tasksFor(service);

const error = { code: "no_disk", message: "no disk left" };
const secondsBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

describe("progress", () => {
  test("renews the lease for as long as the claim asked for, or as said, and is read with the task", async () => {
    const { taskId, leaseToken, startedAt, deadlineAt } = await claimed({}, { leaseSeconds: 30 });
    expect(secondsBetween(startedAt, deadlineAt)).toBe(300);
    const now = async () => (await service.sql<{ now: Date }>("select now()"))[0]?.now.toISOString() as string;
    for (const [fields, seconds] of [
      [{}, 30],
      [{ leaseSeconds: 120 }, 120],
      [{}, 120],
    ] as const) {
      const before = await now();
      const { status, body } = await act(taskId, "progress", { leaseToken, ...fields });
      expect(status).toBe(200);
      expect(body).toMatchObject({ taskId, deadlineAt });
      expect(secondsBetween(before, body.leaseExpiresAt)).toBeGreaterThanOrEqual(seconds - 0.002);
      expect(secondsBetween(await now(), body.leaseExpiresAt)).toBeLessThanOrEqual(seconds + 0.002);
    }
    await act(taskId, "progress", { leaseToken, progress: { percent: 40, message: "half" } });
    await act(taskId, "progress", { leaseToken });
    expect(await taskOf(taskId)).toMatchObject({ state: "WORKING", progress: { percent: 40, message: "half" } });
  });

  test("never renews beyond the deadline of the attempt, and no claim leases beyond it", async () => {
    const { taskId, leaseToken, leaseExpiresAt, deadlineAt } = await claimed(
      { timeoutSeconds: 20 },
      { leaseSeconds: 3600 },
    );
    expect(leaseExpiresAt).toBe(deadlineAt);
    const { body } = await act(taskId, "progress", { leaseToken, leaseSeconds: 3600 });
    expect(body).toMatchObject({ leaseExpiresAt: deadlineAt, deadlineAt });
  });

  test("of an attempt that failed is not that of the next", async () => {
    const { taskId, agentId, leaseToken } = await claimed();
    await act(taskId, "progress", { leaseToken, progress: { percent: 90 } });
    await act(taskId, "fail", { leaseToken, error, retryAfterSeconds: 0 });
    await claim(agentId);
    expect(await taskOf(taskId)).not.toHaveProperty("progress");
  });
});

describe("usage", () => {
  test("is added over all attempts, said again is not counted twice, and never becomes less", async () => {
    const { definitionId, agentId } = await worker();
    const taskId = await pooled(definitionId);
    const cost = async () =>
      (await service.get(`/v1/definitions/${definitionId}/metrics`)).body.costThisMonthUsd as number;
    let [{ leaseToken }] = await claim(agentId);
    const progress = (usage: object) => act(taskId, "progress", { leaseToken, usage });
    await progress({ tokens: 100, costUsd: 0.5 });
    await progress({ tokens: 100, costUsd: 0.5 });
    await progress({ tokens: 40, costUsd: 0.1 });
    expect((await taskOf(taskId)).usage).toEqual({ tokens: 100, costUsd: 0.5 });
    expect(await cost()).toBe(0.5);
    await act(taskId, "fail", { leaseToken, error, retryAfterSeconds: 0, usage: { costUsd: 0.75, toolCalls: 2 } });
    expect((await taskOf(taskId)).usage).toEqual({ tokens: 100, costUsd: 0.75, toolCalls: 2 });
    expect(await cost()).toBe(0.75);
    [{ leaseToken }] = await claim(agentId);
    await progress({ tokens: 30, costUsd: 0.25 });
    expect((await taskOf(taskId)).usage).toEqual({ tokens: 130, costUsd: 1, toolCalls: 2 });
    await lapseTasks();
    expect((await taskOf(taskId)).usage).toEqual({ tokens: 130, costUsd: 1, toolCalls: 2 });
    [{ leaseToken }] = await claim(agentId);
    await progress({ costUsd: 0.5 });
    await act(taskId, "complete", { leaseToken, usage: { tokens: 1, costUsd: 0.25, toolCalls: 1 } });
    expect(await taskOf(taskId)).toMatchObject({ attempt: 3, usage: { tokens: 131, costUsd: 1.5, toolCalls: 3 } });
    expect(await cost()).toBe(1.5);
  });

  test("that nobody reported is not there", async () => {
    const { taskId, leaseToken } = await claimed();
    await act(taskId, "complete", { leaseToken });
    expect(await taskOf(taskId)).not.toHaveProperty("usage");
  });

  test("of ten reports at once the most counts, once", async () => {
    const { definitionId, agentId } = await worker();
    const taskId = await pooled(definitionId);
    const [{ leaseToken }] = await claim(agentId);
    await atOnce(10, (n) => act(taskId, "progress", { leaseToken, usage: { costUsd: n + 1 } }));
    expect((await taskOf(taskId)).usage).toEqual({ costUsd: 10 });
    expect((await service.get(`/v1/definitions/${definitionId}/metrics`)).body.costThisMonthUsd).toBe(10);
  });
});

describe("completing", () => {
  test("keeps the result, the agent, the version and how long it took", async () => {
    const { definitionId, agentId } = await worker();
    const { body } = await submitTo(agentId, { name: "Q3", payload: { n: 1 }, cause: { kind: "MESSAGE", id: "m-1" } });
    const [{ leaseToken, startedAt }] = await claim(agentId);
    const answer = await act(body.taskId, "complete", { leaseToken, result: { lines: 12 } });
    expect(answer.body).toEqual({ taskId: body.taskId, state: "COMPLETED" });
    const read = await taskOf(body.taskId);
    expect(read).toMatchObject({
      ...{ state: "COMPLETED", agentId, definitionId, definitionVersion: "1.0.0", name: "Q3", payload: { n: 1 } },
      ...{ cause: { kind: "MESSAGE", id: "m-1" }, result: { lines: 12 }, attempt: 1, startedAt, pooled: false },
      attempts: [{ number: 1, agentId, at: startedAt, outcome: "COMPLETED", definitionVersion: "1.0.0" }],
    });
    expect(read.durationSeconds).toBeCloseTo(secondsBetween(startedAt, read.finishedAt), 3);
  });

  test("again with the same token is answered the same, and changes nothing", async () => {
    const { taskId, leaseToken } = await claimed();
    const first = await act(taskId, "complete", { leaseToken, result: { n: 1 }, usage: { costUsd: 1 } });
    const read = await taskOf(taskId);
    const again = await act(taskId, "complete", { leaseToken, result: { n: 2 }, usage: { costUsd: 9 } });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(await taskOf(taskId)).toEqual(read);
  });

  test("ten times at once with one token: one end, ten good answers", async () => {
    const { taskId, leaseToken } = await claimed();
    const answers = await atOnce(10, () => act(taskId, "complete", { leaseToken }));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await service.sql("select from cams.task_archive")).toHaveLength(1);
    expect(await calls.failedStatements()).toEqual([]);
  });

  test("against a failure and a cancel at once: one of them ends it, the others are told", async () => {
    for (let round = 0; round < 10; round++) {
      const { taskId, leaseToken } = await claimed();
      const answers = await Promise.all([
        act(taskId, "complete", { leaseToken }),
        act(taskId, "fail", { leaseToken, error, retryable: false }),
        act(taskId, "cancel"),
      ]);
      const won = ["COMPLETED", "FAILED", "CANCELLED"].filter((_, n) => answers[n]?.status === 200);
      expect(won).toEqual([(await taskOf(taskId)).state]);
      for (const { status, body } of answers) if (status !== 200) expect(body.code).toBe("task_finished");
    }
    expect(await service.sql("select from cams.tasks")).toHaveLength(0);
  });
});

describe("a token", () => {
  const ends: [string, (task: { taskId: string; agentId: string; leaseToken: string }) => Promise<unknown>, string][] =
    [
      ["its lease lapsed", () => lapseTasks(), "lease_expired"],
      [
        "its lease lapsed, and another claim has the task",
        async ({ agentId }) => {
          await lapseTasks();
          await claim(agentId);
        },
        "lease_expired",
      ],
      ["it failed", ({ taskId, leaseToken }) => act(taskId, "fail", { leaseToken, error }), "lease_expired"],
      ["its agent was stopped", ({ agentId }) => tell(agentId, "stop"), "lease_expired"],
      ["its agent was quarantined", ({ agentId }) => tell(agentId, "quarantine", { reason: "7" }), "lease_expired"],
      ["the task was cancelled", ({ taskId }) => act(taskId, "cancel"), "task_finished"],
    ];
  test.each(ends)("proves nothing more after %s, and changes nothing", async (_, end, code) => {
    const { taskId, agentId, leaseToken } = await claimed();
    await end({ taskId, agentId, leaseToken });
    const before = await taskOf(taskId);
    for (const [verb, fields] of [
      ["progress", { usage: { costUsd: 5 }, leaseSeconds: 600 }],
      ["complete", { result: { n: 1 } }],
      ["fail", { error, retryable: false }],
    ] as const)
      expect(await act(taskId, verb, { leaseToken, ...fields })).toMatchObject({ status: 409, body: { code } });
    expect(await taskOf(taskId)).toEqual(before);
  });

  test("of another task proves nothing", async () => {
    const [one, two] = [await claimed(), await task()];
    expect((await act(two.taskId, "complete", { leaseToken: one.leaseToken })).body).toMatchObject({
      code: "lease_expired",
      detail: "The token holds no lease on the task, which is SUBMITTED: stop working on it.",
    });
    await tasksBecomeDue();
    expect((await taskOf(two.taskId)).state).toBe("SUBMITTED");
  });
});
