import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { defined, worker, pooled, submitTo, claim, lapseTasks } = tasksFor(service);

/** Puts `count` finished tasks of a definition into the archive; columns are SQL over `n`, which counts from 1. */
async function finished(definitionId: string, count: number, columns: Record<string, string>): Promise<void> {
  const all: Record<string, string> = {
    task_id: "cams.uuid7(now())",
    seq: "n",
    definition_id: `'${definitionId}'`,
    definition_version: "'1.0.0'",
    type: "'report'",
    payload: "'{}'",
    priority: "3",
    cause_kind: "'MANUAL'",
    depends_on: "'{}'",
    timeout_seconds: "300",
    max_attempts: "3",
    submitted_at: "'2026-01-01'",
    submitted_by: "'test'",
    attempt: "1",
    attempts: "'[]'",
    state: "'COMPLETED'",
    started_at: "timestamptz '2026-05-01T00:00:00Z'",
    finished_at: "timestamptz '2026-05-01T00:00:00Z' + make_interval(secs => n)",
    ...columns,
  };
  await service.sql(
    `insert into cams.task_archive (${Object.keys(all).join(", ")})
     select ${Object.values(all).join(", ")} from generate_series(1, ${count}) n`,
  );
}
const failed = { state: "'FAILED'", error: `'{"message": "no"}'` };
const metricsOf = async (id: string, query = "") => (await service.get(`/v1/definitions/${id}/metrics${query}`)).body;

test("counts by state, rates, durations, usage and ratings, of each version by itself", async () => {
  const id = await defined({ budgetLimitUsd: 50 });
  // Of 1 to 20 s: on average 10.5 s, and 95 in 100 took no longer than 19.05 s.
  await finished(id, 20, {
    tokens: "n * 10",
    cost_usd: "0.25",
    tool_calls: "2",
    rating: "case when n <= 4 then n end",
    rated_at: "case when n <= 4 then now() end",
    rated_by: "case when n <= 4 then 'x' end",
  });
  await finished(id, 4, {
    ...failed,
    definition_version: "'2.0.0'",
    finished_at: "timestamptz '2026-05-02' + n * interval '1 s'",
  });
  const second = "timestamptz '2026-05-03T10:00:00Z'";
  await finished(id, 3, {
    definition_version: "'2.0.0'",
    started_at: second,
    finished_at: `${second} + interval '2 s'`,
  });
  const late = { definition_version: "'2.0.0'", error: `'{"message": "late"}'`, started_at: second };
  await finished(id, 1, { ...late, state: "'TIMED_OUT'", finished_at: `${second} + interval '60 s'` });
  await finished(id, 2, { state: "'CANCELLED'", definition_version: "null", started_at: "null", finished_at: second });
  const rejected = { state: "'REJECTED'", approval: "'REJECTED'", approval_at: "now()", approval_by: "'x'" };
  await finished(id, 1, {
    ...rejected,
    definition_version: "null",
    started_at: "null",
    finished_at: "timestamptz '2026-05-02'",
  });
  await finished(await defined(), 5, failed);

  const { versions, ...rest } = await metricsOf(id);
  expect(rest).toEqual({ definitionId: id, waitingTasks: 0, workingTasks: 0, costThisMonthUsd: 0, budgetLimitUsd: 50 });
  const none = { COMPLETED: 0, FAILED: 0, TIMED_OUT: 0, CANCELLED: 0, REJECTED: 0 };
  const [newest, unclaimed, oldest] = versions;
  expect(versions).toHaveLength(3);
  expect(oldest).toEqual({
    ...{ version: "1.0.0", tasks: 20, byState: { ...none, COMPLETED: 20 }, successRate: 1 },
    durationSeconds: { mean: 10.5, p95: expect.closeTo(19.05, 6) },
    ...{ tokens: 2100, costUsd: 5, toolCalls: 40, rating: { mean: 2.5, count: 4 } },
    lastRunAt: "2026-05-01T00:00:20.000Z",
  });
  expect(newest).toMatchObject({
    ...{ version: "2.0.0", tasks: 8, byState: { ...none, COMPLETED: 3, FAILED: 4, TIMED_OUT: 1 }, successRate: 3 / 8 },
    lastRunAt: "2026-05-03T10:01:00.000Z",
  });
  for (const absent of ["tokens", "costUsd", "toolCalls", "rating"]) expect(newest).not.toHaveProperty(absent);
  expect(unclaimed).toEqual({
    ...{ tasks: 3, byState: { ...none, CANCELLED: 2, REJECTED: 1 }, lastRunAt: "2026-05-03T10:00:00.000Z" },
  });
});

test("`from` is within and `to` is not", async () => {
  const id = await defined();
  await finished(id, 10, {});
  const tasks = async (query: string) => (await metricsOf(id, query)).versions[0]?.tasks ?? 0;
  expect(await tasks("")).toBe(10);
  expect(await tasks("?from=2026-05-01T00:00:03Z")).toBe(8);
  expect(await tasks("?to=2026-05-01T00:00:03Z")).toBe(2);
  expect(await tasks("?from=2026-05-01T00:00:03Z&to=2026-05-01T00:00:05Z")).toBe(2);
  expect(await tasks("?from=2026-06-01T00:00:00Z")).toBe(0);
});

test("a definition without finished tasks has no figures", async () => {
  const id = await defined();
  expect(await metricsOf(id)).toEqual({
    definitionId: id,
    versions: [],
    waitingTasks: 0,
    workingTasks: 0,
    costThisMonthUsd: 0,
  });
});

test("what waits in the pool and what its agents hold is counted as it is now", async () => {
  const { agentId, definitionId } = await worker({ maxParallelTasks: 2 });
  for (let n = 0; n < 5; n++) await pooled(definitionId);
  await submitTo(agentId);
  await claim(agentId, { maxTasks: 2 });
  expect(await metricsOf(definitionId)).toMatchObject({ waitingTasks: 3, workingTasks: 2 });
  await lapseTasks();
  expect(await metricsOf(definitionId)).toMatchObject({ waitingTasks: 5, workingTasks: 0 });
});
