import { afterEach, describe, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce } from "./calls.ts";
import { insertInboxes, nothing, reportedAt } from "./rows.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, statesOf, act, claim, claimed, running, worker, pooled, submitTo, tell, agentOf, sweep, ...calls } =
  tasksFor(service);
afterEach(() => vi.restoreAllMocks());

const interrupted = { number: 1, outcome: "INTERRUPTED", detail: "missed 4 reports" };

describe("an agent that went silent", () => {
  test("has failed, and what it held is back in its queue or the pool, no attempt counted", async () => {
    const { definitionId, agentId } = await worker();
    const { id: other } = await running({ definition: { id: definitionId } });
    const own = (await submitTo(agentId, { maxAttempts: 1 })).body.taskId;
    const shared = await pooled(definitionId, { maxAttempts: 1 });
    const [, { leaseToken }] = await claim(agentId, { maxTasks: 2 });
    await calls.report(agentId);
    await calls.silence(300, agentId);
    expect((await sweep()).body).toEqual({ ...nothing, offline: 1, tasksReturned: 2 });
    expect(await agentOf(agentId)).toMatchObject({ state: "FAILED", stateReason: "missed 4 reports", workingTasks: 0 });
    for (const taskId of [own, shared])
      expect(await taskOf(taskId)).toMatchObject({ state: "SUBMITTED", attempt: 0, attempts: [interrupted] });
    expect((await act(shared, "complete", { leaseToken })).body.code).toBe("lease_expired");
    expect(await claim(other, { maxTasks: 9 })).toMatchObject([{ taskId: shared, attempt: 1 }]);
    expect((await calls.claiming(agentId)).body.code).toBe("agent_not_running");
    await tell(agentId, "start");
    expect(await claim(agentId, { maxTasks: 9 })).toMatchObject([{ taskId: own, attempt: 1 }]);
  });

  test("while it drained is stopped; one that was paused stays so, and loses what it held", async () => {
    const [draining, paused] = [await claimed(), await claimed()];
    await tell(draining.agentId, "stop", { drain: true });
    await tell(paused.agentId, "pause");
    for (const { agentId } of [draining, paused]) await calls.report(agentId);
    await calls.silence(300);
    expect((await sweep()).body).toEqual({ ...nothing, offline: 2, tasksReturned: 2 });
    expect((await agentOf(draining.agentId)).state).toBe("STOPPED");
    expect((await agentOf(paused.agentId)).state).toBe("PAUSED");
    expect(await statesOf(draining.taskId, paused.taskId)).toEqual(["SUBMITTED", "SUBMITTED"]);
  });

  test("is left alone while it is only suspect", async () => {
    const { taskId, agentId } = await claimed();
    await calls.report(agentId);
    await calls.silence(121, agentId);
    expect((await sweep()).body).toEqual({ ...nothing, suspected: 1 });
    expect((await agentOf(agentId)).state).toBe("RUNNING");
    expect(await statesOf(taskId)).toEqual(["WORKING"]);
  });

  test("with many others: the brake changes nothing about it, but tasks that ended are archived", async () => {
    const [held, ended] = [await claimed(), await claimed({ maxAttempts: 1 })];
    await calls.report(held.agentId);
    await calls.silence(300, held.agentId);
    await calls.lapseTasks(ended.taskId);
    await insertInboxes(service, 20, reportedAt("(now() - interval '5 min')"));
    vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
    expect((await sweep()).body).toEqual({ ...nothing, frozen: true, tasksFailed: 1 });
    expect((await agentOf(held.agentId)).state).toBe("RUNNING");
    expect(await statesOf(held.taskId)).toEqual(["WORKING"]);
    expect((await act(held.taskId, "complete", { leaseToken: held.leaseToken })).status).toBe(200);
  });
});

test("what time has ended is archived once by three sweeps at once, and what depends on it fails", async () => {
  const { agentId } = await worker({ maxParallelTasks: 60 }, { config: { maxConcurrentTasks: 60 } });
  await atOnce(40, () => submitTo(agentId, { maxAttempts: 1 }));
  const held: { taskId: string }[] = await claim(agentId, { maxTasks: 60 });
  const dependent = (await submitTo(agentId, { dependsOn: held.slice(0, 9).map(({ taskId }) => taskId) })).body.taskId;
  const [first, ...late] = held.slice(0, 10);
  await calls.lapseTasks();
  for (const { taskId } of late) await calls.timeOut(taskId);
  const swept = await atOnce(3, () => sweep());
  const sum = (name: string) => swept.reduce((total, { body }) => total + body[name], 0);
  expect([sum("tasksFailed"), sum("tasksTimedOut")]).toEqual([31, 9]);
  expect(await statesOf(first?.taskId as string, dependent)).toEqual(["FAILED", "FAILED"]);
  expect(await service.sql("select from cams.task_archive")).toHaveLength(41);
  expect(await service.sql("select from cams.tasks")).toHaveLength(0);
});

test("a drain whose last task lapsed is ended by the sweep, one that still works is not", async () => {
  const [lapsed, working] = [await claimed(), await claimed()];
  for (const { agentId } of [lapsed, working]) await tell(agentId, "stop", { drain: true });
  await calls.lapseTasks(lapsed.taskId);
  expect((await sweep()).body).toEqual({ ...nothing, agentsDrained: 1 });
  expect((await agentOf(lapsed.agentId)).state).toBe("STOPPED");
  expect((await agentOf(working.agentId)).state).toBe("DRAINING");
});

test.each([
  ["complete", {}],
  ["fail", { error: { message: "no" } }],
  ["cancel", undefined],
])("a drain ends with the last task, at once, by %s", async (verb, fields) => {
  const { taskId, agentId, leaseToken } = await claimed();
  await tell(agentId, "stop", { drain: true });
  expect((await act(taskId, verb, fields && { leaseToken, ...fields })).status).toBe(200);
  expect((await agentOf(agentId)).state).toBe("STOPPED");
});

test("the deletion of an agent ends its queue; what it has of the pool goes back there", async () => {
  const { definitionId, agentId } = await worker();
  const { id: other } = await running({ definition: { id: definitionId } });
  const [held, waiting] = [(await submitTo(agentId)).body.taskId, (await submitTo(agentId)).body.taskId];
  const shared = await pooled(definitionId, { priority: "CRITICAL" });
  await claim(agentId, { maxTasks: 2 });
  await calls.lapseTasks();
  await tell(agentId, "stop");
  expect((await service.delete(`/v1/agents/${agentId}`)).status).toBe(204);
  for (const taskId of [held, waiting])
    expect(await taskOf(taskId)).toMatchObject({ state: "CANCELLED", error: { code: "agent_deleted" }, agentId });
  expect(await taskOf(shared)).toMatchObject({ state: "SUBMITTED", attempts: [{ outcome: "LEASE_EXPIRED" }] });
  expect(await claim(other)).toMatchObject([{ taskId: shared, attempt: 2 }]);
});

describe("`task.submitted` in the agent's inbox", () => {
  test("comes when a task may be claimed: submitted, approved, freed, or to be repeated; none for a pool", async () => {
    const { definitionId, agentId } = await worker({ approvalRequiredFor: ["pay"] });
    const told = async () => (await calls.announcedTo(agentId)).map(({ taskId }) => taskId);
    const first = (await submitTo(agentId, { priority: "HIGH" })).body.taskId;
    expect(await calls.announcedTo(agentId)).toEqual([
      { taskId: first, agentId, type: "report", due: true, priority: 2 },
    ]);
    const second = (await submitTo(agentId, { dependsOn: [first] })).body.taskId;
    const third = (await submitTo(agentId, { type: "pay" })).body.taskId;
    await pooled(definitionId);
    expect(await told()).toEqual([first]);
    await act(third, "approve");
    expect(await told()).toEqual([first, third]);
    const [{ leaseToken }] = await claim(agentId);
    await act(first, "complete", { leaseToken });
    expect(await told()).toEqual([first, third, second]);
    const held = (await claim(agentId, { maxTasks: 9 })).find(({ taskId }: { taskId: string }) => taskId === second);
    await act(second, "fail", { leaseToken: held.leaseToken, error: { message: "no" }, retryAfterSeconds: 60 });
    expect(await told()).toEqual([first, third, second, second]);
    expect((await calls.announcedTo(agentId)).map(({ due }) => due)).toEqual([true, true, true, false]);
  });

  test("is pulled with the rest of its inbox, and is not there when the task is not", async () => {
    const { agentId } = await worker();
    expect((await submitTo(agentId, { dependsOn: ["019a0000-0000-7000-8000-000000000000"] })).status).toBe(404);
    const { body } = await submitTo(agentId);
    const pulled = await calls.pull(agentId);
    expect(pulled.filter(({ messageType }: { messageType: string }) => messageType === "task.submitted")).toMatchObject(
      [{ senderAddress: "cams", payload: { taskId: body.taskId, agentId, type: "report" } }],
    );
  });
});
