import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { sessionsWait, whileHeld } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, statesOf, act, claim, running, worker, submitTo, pooled, timeOut, sweep, ...calls } = tasksFor(service);

/** A running agent, and submissions to it; each answers its id. */
async function agent() {
  const { id } = await running({ config: { maxConcurrentTasks: 100, taskQueueSize: 1000 } });
  return {
    id: id as string,
    submit: async (...dependsOn: string[]): Promise<string> => (await submitTo(id, { dependsOn })).body.taskId,
    claimable: async () => (await claim(id, { maxTasks: 100 })) as { taskId: string; leaseToken: string }[],
    /** Claims what there is and completes it; answers what that was. */
    async workOff() {
      const tasks = (await claim(id, { maxTasks: 100 })) as { taskId: string; leaseToken: string }[];
      for (const { taskId, leaseToken } of tasks) await act(taskId, "complete", { leaseToken });
      return tasks.map(({ taskId }) => taskId);
    },
  };
}

describe("order", () => {
  test("a chain is worked off link by link", async () => {
    const { submit, workOff } = await agent();
    const first = await submit();
    const second = await submit(first);
    const third = await submit(second);
    expect(await taskOf(third)).toMatchObject({ state: "SUBMITTED", dependsOn: [second], waitingFor: 1 });
    expect(await taskOf(third)).not.toHaveProperty("availableAt");
    expect(await workOff()).toEqual([first]);
    expect(await workOff()).toEqual([second]);
    expect(await workOff()).toEqual([third]);
    expect(await taskOf(third)).toMatchObject({ state: "COMPLETED", dependsOn: [second] });
  });

  test("a diamond's last one waits for both sides, however often they are named", async () => {
    const { submit, workOff, claimable } = await agent();
    const top = await submit();
    const [left, right] = [await submit(top), await submit(top)];
    const bottom = await submit(left, right, left);
    expect((await taskOf(bottom)).waitingFor).toBe(2);
    expect(await workOff()).toEqual([top]);
    const [one, two] = await claimable();
    await act(one?.taskId as string, "complete", { leaseToken: one?.leaseToken });
    expect((await taskOf(bottom)).waitingFor).toBe(1);
    expect(await claimable()).toEqual([]);
    await act(two?.taskId as string, "complete", { leaseToken: two?.leaseToken });
    expect(await taskOf(bottom)).not.toHaveProperty("waitingFor");
    expect(await workOff()).toEqual([bottom]);
  });

  test("both sides completed at once free it once, whichever comes first", async () => {
    for (let round = 0; round < 10; round++) {
      const { submit, claimable, workOff } = await agent();
      const bottom = await submit(await submit(), await submit());
      const sides = await claimable();
      await Promise.all(sides.map(({ taskId, leaseToken }) => act(taskId, "complete", { leaseToken })));
      expect(await workOff()).toEqual([bottom]);
    }
    expect(await calls.failedStatements()).toEqual([]);
  });

  test("a circle cannot be made: nothing can depend on a task that there is not yet", async () => {
    const { id, submit } = await agent();
    const taskId = await submit();
    await submit(taskId);
    // Ids are the service's; what a task depends on is said once, and there is no call that changes it.
    expect((await submitTo(id, { taskId, dependsOn: [taskId] })).status).toBe(400);
    expect((await service.put(`/v1/tasks/${taskId}`, { dependsOn: [taskId] })).status).toBe(405);
  });
});

describe("what depends on a task fails when it", () => {
  const ends: [string, (taskId: string, agentId: string) => Promise<unknown>][] = [
    ["is cancelled", (taskId) => act(taskId, "cancel")],
    [
      "fails",
      async (taskId, agentId) => {
        const [{ leaseToken }] = await claim(agentId);
        await act(taskId, "fail", { leaseToken, error: { message: "no" }, retryable: false });
      },
    ],
    [
      "takes too long",
      async (_, agentId) => {
        await claim(agentId);
        await timeOut();
        await sweep();
      },
    ],
    [
      "loses its agent",
      async (_, agentId) => {
        await calls.tell(agentId, "stop");
        expect((await service.delete(`/v1/agents/${agentId}`)).status).toBe(204);
      },
    ],
  ];
  test.each(ends)("%s, three levels deep, in other queues too; what does not depend on it stays", async (_, end) => {
    const { definitionId, agentId } = await worker();
    const { id: other } = await running();
    const first = (await submitTo(agentId)).body.taskId;
    const second = (await submitTo(other, { dependsOn: [first] })).body.taskId;
    const third = await pooled(definitionId, { dependsOn: [second] });
    const fourth = (await submitTo(other, { dependsOn: [third, first] })).body.taskId;
    const apart = (await submitTo(other)).body.taskId;
    await end(first, agentId);
    expect(await statesOf(second, third, fourth, apart)).toEqual(["FAILED", "FAILED", "FAILED", "SUBMITTED"]);
    for (const taskId of [second, third, fourth])
      expect(await taskOf(taskId)).toMatchObject({ error: { code: "dependency_failed" }, attempts: [], attempt: 0 });
    expect(await service.sql("select from cams.task_dependencies")).toEqual([]);
  });

  test("is rejected", async () => {
    const { agentId } = await worker({ approvalRequiredFor: ["pay"] });
    const first = (await submitTo(agentId, { type: "pay" })).body.taskId;
    const second = (await submitTo(agentId, { dependsOn: [first] })).body.taskId;
    await act(first, "reject");
    expect(await taskOf(second)).toMatchObject({ state: "FAILED", error: { code: "dependency_failed" } });
  });

  test("is the first of 500 in a row: all of them", async () => {
    const { id, submit } = await agent();
    const ids = [await submit()];
    for (let n = 1; n < 500; n++) ids.push(await submit(ids.at(-1) as string));
    await act(ids[0] as string, "cancel");
    const states = await service.sql(
      "select state, count(*)::integer as n from cams.task_archive group by 1 order by 1",
    );
    expect(states).toEqual([
      { state: "CANCELLED", n: 1 },
      { state: "FAILED", n: 499 },
    ]);
    expect(await service.sql("select from cams.tasks")).toEqual([]);
    expect(await claim(id)).toEqual([]);
  });
});

describe("at its submission", () => {
  test("what it depends on has completed: it may be claimed at once", async () => {
    const { submit, workOff } = await agent();
    const first = await submit();
    await workOff();
    const second = await submit(first);
    expect(await taskOf(second)).not.toHaveProperty("waitingFor");
    expect(await workOff()).toEqual([second]);
  });

  test.each(["cancel", "fail"])(
    "what it depends on has ended by %s: 409, naming it, and nothing is made",
    async (verb) => {
      const { id, submit, claimable } = await agent();
      const first = await submit();
      const [claimed] = await claimable();
      await act(
        first,
        verb,
        verb === "fail" ? { leaseToken: claimed?.leaseToken, error: { message: "no" }, retryable: false } : {},
      );
      const { status, body } = await submitTo(id, { dependsOn: [first] });
      expect([status, body.code]).toEqual([409, "dependency_failed"]);
      expect(body.detail).toContain(first);
      expect(await service.sql("select from cams.tasks")).toEqual([]);
    },
  );

  test.each(["complete", "cancel"])(
    "what it depends on is just being ended (%s): it waits for that, and for nothing after it",
    async (verb) => {
      const { id, submit, claimable, workOff } = await agent();
      const first = await submit();
      const [claimed] = await claimable();
      const archive =
        verb === "complete"
          ? "cams.archive_task(gone, 'COMPLETED', 'COMPLETED', now(), null, null, null)"
          : `cams.archive_task(gone, 'CANCELLED', 'CANCELLED', now(), null, null, '{"message": "no"}')`;
      const end = `with gone as (delete from cams.tasks where task_id = $1 returning *) select ${archive} from gone`;
      expect(claimed?.taskId).toBe(first);
      await whileHeld(service, end, [first], async (commit) => {
        const submission = submitTo(id, { dependsOn: [first] });
        await sessionsWait(service, 1);
        await commit();
        const { status, body } = await submission;
        if (verb === "cancel") expect([status, body.code]).toEqual([409, "dependency_failed"]);
        else expect(await workOff()).toEqual([body.taskId]);
      });
    },
  );

  test.each(["complete", "cancel"])(
    "what it depends on ends (%s) before it is committed: it is not forgotten",
    async (verb) => {
      const { id, submit, claimable, workOff } = await agent();
      const first = await submit();
      const [claimed] = await claimable();
      // As the submission's statements, held open before their commit.
      const submission = `
      with held as materialized (select task_id from cams.tasks where task_id = $1 for key share),
      made as (
        insert into cams.tasks (task_id, agent_id, type, payload, priority, cause_kind, depends_on, waiting_for,
          timeout_seconds, max_attempts, submitted_at, submitted_by, rank_at, available_at)
        select cams.uuid7(now()), $2, 'late', '{}', 3, 'MANUAL', array[task_id], 1, 60, 3, now(), 'anonymous', now(), now()
        from held returning task_id)
      insert into cams.task_dependencies (depends_on, task_id) select $1, task_id from made`;
      await whileHeld(service, submission, [first, id], async (commit) => {
        const end = act(first, verb, verb === "complete" ? { leaseToken: claimed?.leaseToken } : {});
        await sessionsWait(service, 1);
        await commit();
        expect((await end).status).toBe(200);
      });
      const [late] = await calls.listed("?type=late");
      if (verb === "cancel") expect(late).toMatchObject({ state: "FAILED", error: { code: "dependency_failed" } });
      else expect(await workOff()).toEqual([late.taskId]);
    },
  );
});
