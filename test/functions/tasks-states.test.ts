import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { stateAfter, type TaskAct } from "../../shared/rules/task-states.ts";
import { TaskState } from "../../shared/schemas/task.ts";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, listed, act, claim, claiming, tell, worker, submitTo, pooled, lapseTasks, timeOut, sweep } =
  tasksFor(service);

const states = TaskState.options;
const error = { message: "no" };

interface Prepared {
  taskId: string;
  agentId: string;
  /** What another ended task was for. */
  leaseToken: string;
}

/** A task led into a state over HTTP, but for time. */
async function inState(state: TaskState, fields: Record<string, unknown> = {}): Promise<Prepared> {
  const { agentId } = await worker({ approvalRequiredFor: ["pay"] });
  const undecided = state === "APPROVAL_REQUIRED" || state === "REJECTED";
  const { body } = await submitTo(agentId, { type: undecided ? "pay" : "report", ...fields });
  const taskId: string = body.taskId;
  const claimed = ["WORKING", "COMPLETED", "FAILED", "TIMED_OUT"].includes(state) ? (await claim(agentId))[0] : {};
  const leaseToken: string = claimed.leaseToken ?? randomUUID();
  if (state === "COMPLETED") await act(taskId, "complete", { leaseToken });
  if (state === "FAILED") await act(taskId, "fail", { leaseToken, error, retryable: false });
  if (state === "TIMED_OUT") {
    await timeOut();
    await sweep();
  }
  if (state === "CANCELLED") await act(taskId, "cancel");
  if (state === "REJECTED") await act(taskId, "reject");
  expect((await taskOf(taskId)).state).toBe(state);
  return { taskId, agentId, leaseToken: state === "COMPLETED" ? randomUUID() : leaseToken };
}

const byToken = (verb: string, more: object = {}) => ({
  run: ({ taskId, leaseToken }: Prepared) => act(taskId, verb, { leaseToken, ...more }),
  refusal: (state: TaskState) =>
    ["APPROVAL_REQUIRED", "SUBMITTED"].includes(state) ? "lease_expired" : "task_finished",
});
/** What time does refuses nothing: there is nothing for it to do. */
const byTime = (run: (task: Prepared) => Promise<unknown>) => ({ run, refusal: () => undefined });

/** How each act is done, and with which problem it is refused where it is not possible. */
const acts: Record<
  Exclude<TaskAct, "dependencyFailure">,
  { run: (task: Prepared) => Promise<unknown>; refusal: (state: TaskState) => string | undefined }
> = {
  claim: byTime(({ agentId }) => claim(agentId)),
  progress: byToken("progress"),
  complete: byToken("complete"),
  fail: byToken("fail", { error, retryable: false }),
  retry: byToken("fail", { error }),
  lapse: byTime(() => lapseTasks()),
  return: byTime(({ agentId }) => tell(agentId, "stop")),
  exhaust: byTime(async () => {
    await service.sql("update cams.tasks set last_attempt = true where lease_token is not null");
    await lapseTasks();
  }),
  timeOut: byTime(() => timeOut()),
  cancel: { run: ({ taskId }) => act(taskId, "cancel"), refusal: () => "task_finished" },
  approve: { run: ({ taskId }) => act(taskId, "approve"), refusal: () => "approval_decided" },
  reject: { run: ({ taskId }) => act(taskId, "reject"), refusal: () => "approval_decided" },
  rate: { run: ({ taskId }) => act(taskId, "feedback", { rating: 3 }), refusal: () => "task_not_finished" },
};

describe.each(Object.entries(acts))("%s", (name, { run, refusal }) => {
  test.each(states)("of a task that is %s: as the rules say", async (state) => {
    const task = await inState(state);
    const before = await taskOf(task.taskId);
    const after = stateAfter(name as TaskAct, state);
    const answer = (await run(task)) as Partial<Answer> | undefined;
    const expected = refusal(state);
    if (after === undefined && expected !== undefined)
      expect(answer).toMatchObject({ status: 409, body: { code: expected } });
    if (after === undefined) expect(await taskOf(task.taskId)).toEqual(before);
    else expect((await taskOf(task.taskId)).state).toBe(after);
  });
});

test.each(["APPROVAL_REQUIRED", "SUBMITTED"] as const)(
  "dependencyFailure of a task that is %s fails it",
  async (state) => {
    const { taskId: on } = await inState("SUBMITTED");
    const { taskId } = await inState(state, { dependsOn: [on] });
    await act(on, "cancel");
    expect(await taskOf(taskId)).toMatchObject({ state: "FAILED", error: { code: "dependency_failed" } });
  },
);

describe("in effect, before any sweep", () => {
  /** What is read of a task, equally by its id and in lists. */
  async function read(taskId: string) {
    const task = await taskOf(taskId);
    expect(await listed(`?state=${task.state}`)).toEqual([task]);
    expect(await listed()).toEqual([task]);
    const others = states.filter((state) => state !== task.state);
    for (const state of others) expect(await listed(`?state=${state}`)).toEqual([]);
    return task;
  }

  test.each([
    ["a lapsed lease", 3, lapseTasks, { state: "SUBMITTED", attempts: [{ number: 1, outcome: "LEASE_EXPIRED" }] }],
    [
      "the lapsed lease of the last attempt",
      1,
      lapseTasks,
      {
        state: "FAILED",
        error: { code: "attempts_exhausted" },
        attempts: [{ number: 1, outcome: "LEASE_EXPIRED" }],
      },
    ],
    [
      "an attempt that took too long",
      3,
      timeOut,
      { state: "TIMED_OUT", error: { code: "timed_out" }, attempts: [{ number: 1, outcome: "TIMED_OUT" }] },
    ],
  ])(
    "%s (of %i attempts), of an own or a pooled task: read so, and the sweep changes nothing of it",
    async (_, maxAttempts, pass, expected) => {
      for (const pool of [false, true]) {
        await service.sql("begin; delete from cams.tasks; delete from cams.task_archive; commit");
        const { agentId, definitionId } = await worker();
        const taskId = pool
          ? await pooled(definitionId, { maxAttempts })
          : (await submitTo(agentId, { maxAttempts })).body.taskId;
        const [{ leaseToken }] = await claim(agentId);
        const usage = { tokens: 5, costUsd: 0.25 };
        await act(taskId, "progress", { leaseToken, usage, progress: { percent: 10 } });
        await pass();
        const task = await read(taskId);
        expect(task).toMatchObject({ ...expected, usage });
        expect(task).not.toHaveProperty("leaseExpiresAt");
        const finished = task.state !== "SUBMITTED";
        expect(task.finishedAt !== undefined).toBe(finished);
        expect(task.agentId).toBe(pool && !finished ? undefined : agentId);
        for (const verb of ["progress", "complete"])
          expect((await act(taskId, verb, { leaseToken })).body.code).toBe(
            finished ? "task_finished" : "lease_expired",
          );
        const { body } = await sweep();
        expect([body.tasksFailed, body.tasksTimedOut]).toEqual([
          Number(task.state === "FAILED"),
          Number(task.state === "TIMED_OUT"),
        ]);
        expect(await read(taskId)).toEqual(task);
        expect((await claiming(agentId)).body.tasks).toHaveLength(finished ? 0 : 1);
      }
    },
  );
});
