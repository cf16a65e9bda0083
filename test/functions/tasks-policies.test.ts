import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, statesOf, act, claim, claiming, running, worker, defined, submitTo, submitPooled, ...calls } =
  tasksFor(service);

const error = { message: "no" };
const auditOf = async (taskId: string) =>
  (await service.get(`/v1/audit?resourceType=task&resourceId=${taskId}`)).body.items;
const seconds = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

describe.each(["direct", "pooled"])("approvalRequiredFor, %s", (way) => {
  async function undecided() {
    const { agentId, definitionId } = await worker({ approvalRequiredFor: ["pay", "fire"] });
    const submit = (type: string) =>
      way === "direct" ? submitTo(agentId, { type }) : submitPooled(definitionId, { type });
    const { status, body } = await submit("pay");
    expect([status, body.state]).toEqual([202, "APPROVAL_REQUIRED"]);
    return { agentId, definitionId, submit, taskId: body.taskId as string };
  }

  test("a task of such a type waits for an operator, one of another type does not", async () => {
    const { agentId, submit, taskId } = await undecided();
    expect(await taskOf(taskId)).toMatchObject({ state: "APPROVAL_REQUIRED", approval: { decision: "REQUIRED" } });
    expect(await taskOf(taskId)).not.toHaveProperty("availableAt");
    expect(await claim(agentId)).toEqual([]);
    const { body } = await submit("report");
    expect(body.state).toBe("SUBMITTED");
    expect(await taskOf(body.taskId)).not.toHaveProperty("approval");
  });

  test("approved it is claimed, with who decided it and why; the audit has it", async () => {
    const { agentId, definitionId, taskId } = await undecided();
    const { status, body } = await act(taskId, "approve", { reason: "as agreed" });
    const approval = { decision: "APPROVED", by: "local", at: expect.any(String), reason: "as agreed" };
    expect([status, body.state, body.approval]).toEqual([200, "SUBMITTED", approval]);
    expect(await claim(agentId)).toMatchObject([{ taskId, approval }]);
    expect(await auditOf(taskId)).toMatchObject([
      {
        ...{ action: "approved", resourceType: "task", resourceId: taskId, actor: "local", reason: "as agreed" },
        after: { taskId, type: "pay", definitionId },
      },
    ]);
  });

  test("rejected it has ended, with who decided it and why; the audit has it", async () => {
    const { agentId, taskId } = await undecided();
    const { body } = await act(taskId, "reject", { reason: "too much" });
    expect(body).toMatchObject({
      state: "REJECTED",
      approval: { decision: "REJECTED", by: "local", reason: "too much" },
      error: { code: "rejected", message: "too much" },
    });
    expect(await taskOf(taskId)).toEqual(body);
    expect(await claim(agentId)).toEqual([]);
    expect(await auditOf(taskId)).toMatchObject([{ action: "rejected", reason: "too much" }]);
  });

  test("approved and rejected at once: one of them holds, and it alone is in the audit", async () => {
    for (let round = 0; round < 5; round++) {
      const { taskId } = await undecided();
      const answers = await Promise.all([act(taskId, "approve"), act(taskId, "reject"), act(taskId, "approve")]);
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
      const won = answers[1]?.status === 200 ? "rejected" : "approved";
      expect(await auditOf(taskId)).toMatchObject([{ action: won }]);
      expect(await statesOf(taskId)).toEqual([won === "rejected" ? "REJECTED" : "SUBMITTED"]);
    }
  });

  test("approved while what it depends on has not completed, it waits for that", async () => {
    const { agentId, definitionId } = await undecided();
    const { body: first } = await submitTo(agentId);
    const fields = { type: "pay", dependsOn: [first.taskId] };
    const { body } = await (way === "direct" ? submitTo(agentId, fields) : submitPooled(definitionId, fields));
    await act(body.taskId, "approve");
    const [claimed] = await claim(agentId, { maxTasks: 9 });
    expect(claimed.taskId).toBe(first.taskId);
    expect(await claim(agentId)).toEqual([]);
    await act(first.taskId, "complete", { leaseToken: claimed.leaseToken });
    expect(await claim(agentId)).toMatchObject([{ taskId: body.taskId }]);
  });
});

describe("enabled", () => {
  test("false stops what is in the pool, true in a later version lets it go on", async () => {
    const { agentId, definitionId } = await worker();
    const taskId = await calls.pooled(definitionId);
    await calls.redefined(definitionId, "2.0.0", { enabled: false });
    expect((await claiming(agentId)).body.code).toBe("definition_disabled");
    expect((await submitPooled(definitionId)).body.code).toBe("definition_disabled");
    expect(await statesOf(taskId)).toEqual(["SUBMITTED"]);
    await calls.redefined(definitionId, "3.0.0", { enabled: true });
    expect(await claim(agentId)).toMatchObject([{ taskId, definitionVersion: "1.0.0" }]);
  });

  test("false leaves what is in a hand alone", async () => {
    const { agentId, definitionId } = await worker();
    const taskId = await calls.pooled(definitionId);
    const [{ leaseToken }] = await claim(agentId);
    await calls.redefined(definitionId, "2.0.0", { enabled: false });
    expect((await act(taskId, "complete", { leaseToken })).status).toBe(200);
  });
});

describe("autoRetry: false", () => {
  test.each(["a failure", "a lapsed lease"])("%s ends the task, whatever its maxAttempts", async (how) => {
    const { agentId, definitionId } = await worker({ autoRetry: false });
    const taskId = await calls.pooled(definitionId, { maxAttempts: 9 });
    const [{ leaseToken }] = await claim(agentId);
    if (how === "a failure") await act(taskId, "fail", { leaseToken, error });
    else await calls.lapseTasks();
    expect(await taskOf(taskId)).toMatchObject({ state: "FAILED", attempt: 1, maxAttempts: 9 });
  });
});

describe("how long an attempt may take", () => {
  test.each([
    [{}, { timeoutSeconds: 20 }, {}, 20, 20],
    [{}, { timeoutSeconds: 600 }, { timeoutSeconds: 50 }, 50, 50],
    [{ taskTimeoutSeconds: 40 }, {}, {}, 40, 3600],
    [{ taskTimeoutSeconds: 40 }, {}, { timeoutSeconds: 30 }, 30, 30],
  ])(
    "agent %j, task %j, definition %j: %i s, %i s from the pool",
    async (config, task, definition, direct, fromPool) => {
      const { agentId, definitionId } = await worker(definition, { config });
      for (const [submitted, expected] of [
        [await submitTo(agentId, task), direct],
        [await submitPooled(definitionId, task), fromPool],
      ] as const) {
        const [claimed] = await claim(agentId, { leaseSeconds: 5 });
        expect(claimed.taskId).toBe(submitted.body.taskId);
        expect(seconds(claimed.startedAt, claimed.deadlineAt)).toBe(expected);
      }
    },
  );
});

describe("retiring a definition", () => {
  test("cancels what is in its pool, and what depends on that fails", async () => {
    const definitionId = await defined({ approvalRequiredFor: ["pay"] });
    const { id } = await running();
    const waiting = await calls.pooled(definitionId);
    const undecided = await calls.pooled(definitionId, { type: "pay" });
    const dependent = (await submitTo(id, { dependsOn: [waiting] })).body.taskId;
    expect((await service.delete(`/v1/definitions/${definitionId}`)).status).toBe(204);
    for (const taskId of [waiting, undecided])
      expect(await taskOf(taskId)).toMatchObject({ state: "CANCELLED", error: { code: "definition_retired" } });
    expect(await statesOf(dependent)).toEqual(["FAILED"]);
    expect((await submitPooled(definitionId)).body.code).toBe("definition_retired");
  });

  test("is refused while an agent is bound to it, and its pool stays", async () => {
    const { definitionId } = await worker();
    const taskId = await calls.pooled(definitionId);
    expect((await service.delete(`/v1/definitions/${definitionId}`)).body.code).toBe("definition_in_use");
    expect(await statesOf(taskId)).toEqual(["SUBMITTED"]);
  });
});
