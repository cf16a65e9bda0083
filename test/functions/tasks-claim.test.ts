import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, sessionsWait, whileHeld } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const {
  taskOf,
  act,
  claim,
  claiming,
  running,
  task,
  tell,
  worker,
  submitTo,
  pooled,
  submitPooled,
  lapseTasks,
  ...calls
} = tasksFor(service);

interface Claimed {
  taskId: string;
  name: string;
  leaseToken: string;
}
const names = (tasks: Claimed[]) => tasks.map(({ name }) => name);
const queueOf = async (agentId: string, n: number) => {
  for (let i = 0; i < n; i++) await submitTo(agentId);
};

describe("the order", () => {
  test("goes by priority over the agent's own queue and its definition's pool, then by arrival", async () => {
    const { definitionId, agentId } = await worker({ maxParallelTasks: 10 }, { config: { maxConcurrentTasks: 10 } });
    for (const [name, priority] of Object.entries({ a: "LOW", b: "NORMAL", c: "CRITICAL", d: "HIGH" })) {
      await submitTo(agentId, { name: `own ${name}`, priority });
      await submitPooled(definitionId, { name: `pool ${name}`, priority });
    }
    const claimed = await claim(agentId, { maxTasks: 7 });
    expect(names(claimed)).toEqual(["own c", "pool c", "own d", "pool d", "own b", "pool b", "own a"]);
    expect(names(await claim(agentId))).toEqual(["pool a"]);
  });

  test.each([
    ["LOW", 181, "CRITICAL", "old"],
    ["LOW", 179, "CRITICAL", "young"],
    ["NORMAL", 61, "HIGH", "old"],
    ["NORMAL", 59, "HIGH", "young"],
  ])(
    "ages: a %s in the pool that has waited %i s against a new %s of its own: the %s one",
    async (waited, seconds, fresh, first) => {
      const { definitionId, agentId } = await worker();
      await submitPooled(definitionId, { name: "old", priority: waited });
      await service.sql("update cams.tasks set rank_at = rank_at - make_interval(secs => $1)", [seconds]);
      await submitTo(agentId, { name: "young", priority: fresh });
      expect(names(await claim(agentId))).toEqual([first]);
    },
  );

  test("one that lapsed keeps its place before younger ones, and says so in its attempts", async () => {
    const { id } = await running();
    await submitTo(id, { name: "first" });
    await claim(id);
    await submitTo(id, { name: "second" });
    await lapseTasks();
    const claimed = await claim(id, { maxTasks: 2 });
    expect(names(claimed)).toEqual(["first", "second"]);
    expect(claimed[0]).toMatchObject({
      attempt: 2,
      attempts: [
        { number: 1, outcome: "LEASE_EXPIRED", agentId: id },
        { number: 2, outcome: "WORKING", agentId: id },
      ],
    });
  });
});

describe("room", () => {
  test.each([
    [{ maxConcurrentTasks: 2 }, { maxParallelTasks: 9 }, 2],
    [{ maxConcurrentTasks: 9 }, { maxParallelTasks: 2 }, 2],
    [{ maxConcurrentTasks: 1 }, { maxParallelTasks: 1 }, 1],
  ])("of %j and %j is %i at once; what ends or lapses makes room again", async (config, definition, room) => {
    const { agentId } = await worker(definition, { config });
    await queueOf(agentId, 6);
    const [first, ...rest] = await claim(agentId, { maxTasks: 100 });
    expect(rest).toHaveLength(room - 1);
    expect(await claim(agentId, { maxTasks: 100 })).toEqual([]);
    await act(first.taskId, "complete", { leaseToken: first.leaseToken });
    const [second] = await claim(agentId, { maxTasks: 100 });
    await act(second.taskId, "fail", { leaseToken: second.leaseToken, error: { message: "no" } });
    expect(await claim(agentId, { maxTasks: 100 })).toHaveLength(1);
    expect(await claim(agentId, { maxTasks: 100 })).toEqual([]);
    await lapseTasks();
    expect(await claim(agentId, { maxTasks: 100 })).toHaveLength(room);
    expect(await calls.agentOf(agentId)).toMatchObject({ workingTasks: room, waitingTasks: 5 - room });
  });

  test("is filled and never exceeded by 20 claims at once, from its own queue or the pool, by two agents", async () => {
    const { definitionId, agentId } = await worker({ maxParallelTasks: 7 }, { config: { maxConcurrentTasks: 9 } });
    const { id: other } = await running({ definition: { id: definitionId }, config: { maxConcurrentTasks: 4 } });
    for (let n = 0; n < 10; n++) {
      await submitTo(agentId);
      await submitPooled(definitionId);
    }
    const answers = await atOnce(20, (n) => claim(n % 2 ? agentId : other, { maxTasks: 3 }));
    const claimed: { taskId: string; agentId: string }[] = answers.flat();
    expect(new Set(claimed.map(({ taskId }) => taskId)).size).toBe(claimed.length);
    expect(claimed.filter((one) => one.agentId === agentId)).toHaveLength(7);
    expect(claimed.filter((one) => one.agentId === other)).toHaveLength(4);
    expect(await calls.failedStatements()).toEqual([]);
  });
});

test("no task in two hands: 8 agents over a pool of 60, until it is empty", async () => {
  const { definitionId, agentId } = await worker({ maxParallelTasks: 100 }, { config: { maxConcurrentTasks: 100 } });
  const others = await atOnce(7, () =>
    running({ definition: { id: definitionId }, config: { maxConcurrentTasks: 100 } }),
  );
  await atOnce(60, () => pooled(definitionId));
  const agents: string[] = [agentId, ...others.map(({ id }) => id)];
  const claimed = await Promise.all(
    agents.map(async (id) => {
      const mine: Claimed[] = [];
      for (;;) {
        const tasks = await claim(id, { maxTasks: 3 });
        if (tasks.length === 0) return mine;
        mine.push(...tasks);
      }
    }),
  );
  const ids = claimed.flat().map(({ taskId }) => taskId);
  expect([ids.length, new Set(ids).size]).toEqual([60, 60]);
});

describe("a claim that finds nothing", () => {
  test("writes nothing: neither a row version nor a lock on its agent or inbox", async () => {
    const { agentId } = await worker();
    const versions = () =>
      service.sql(`select a.xmin, a.xmax, i.xmin as inbox, i.xmax as inbox_lock
        from cams.agents a join cams.agent_inboxes i using (ai_agent_address)`);
    const before = await versions();
    for (let n = 0; n < 5; n++) expect(await claim(agentId)).toEqual([]);
    expect(await versions()).toEqual(before);
    await submitTo(agentId);
    await claim(agentId);
    expect(await versions()).not.toEqual(before);
  });

  test("finds nothing of other agents, or other definitions' pools", async () => {
    const { agentId } = await worker();
    const other = await worker();
    await submitTo(other.agentId);
    await pooled(other.definitionId);
    expect(await claim(agentId, { maxTasks: 9 })).toEqual([]);
    expect(await claim(other.agentId, { maxTasks: 9 })).toHaveLength(2);
  });
});

test("a claim whose caller is gone gives back what it got: no attempt is counted, and the next one has it at once", async () => {
  const { taskId, agentId } = await task();
  const gone = new AbortController();
  await whileHeld(service, "select from cams.agents where agent_id = $1 for update", [agentId], async (release) => {
    const request = fetch(`${service.url}/v1/agents/${agentId}/tasks/claim`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      signal: gone.signal,
    });
    await sessionsWait(service, 1);
    gone.abort();
    await expect(request).rejects.toThrow("abort");
    // The service is in this process: by then it has seen that the connection is closed.
    for (let n = 0; n < 5; n++) await service.get("/health/live");
    await release();
  });
  await expect.poll(async () => (await taskOf(taskId)).attempts[0]?.outcome).toBe("INTERRUPTED");
  expect(await taskOf(taskId)).toMatchObject({
    state: "SUBMITTED",
    attempt: 0,
    attempts: [{ number: 1, outcome: "INTERRUPTED", detail: "the caller was gone" }],
  });
  expect(await claim(agentId)).toMatchObject([{ taskId, attempt: 1 }]);
});
