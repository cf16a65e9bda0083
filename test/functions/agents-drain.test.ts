import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { agentsFor, LEASE } from "./agents.ts";
import { atOnce, sessionsWait, whileHeld } from "./calls.ts";

const service = useService();
const { running, tell, agentOf, historyOf, toldTo, task } = agentsFor(service);

const drain = (id: string) => tell(id, "stop", { drain: true, reason: "evening" });
const finish = (taskId: string) => service.sql("delete from cams.tasks where task_id = $1", [taskId]);

test("one that works drains until the last task in its hand is gone, then it is stopped and told", async () => {
  const { id, aiAgentAddress } = await running();
  const [first, last] = [await task(id), await task(id)];
  await task(id, {});
  expect((await drain(id)).body).toMatchObject({ state: "DRAINING", stateReason: "evening" });
  expect(await agentOf(id)).toMatchObject({ state: "DRAINING", workingTasks: 2 });
  const { agents } = service.app.repo;
  expect(await agents.endDrain(id)).toBe(0);
  await finish(first);
  expect(await agents.endDrains(10)).toBe(0);
  await finish(last);
  expect(await agents.endDrain(id)).toBe(1);
  expect(await agents.endDrain(id)).toBe(0);
  expect(await agentOf(id)).toMatchObject({ state: "STOPPED", stateReason: "drained", workingTasks: 0 });
  expect((await historyOf(id))[0]).toMatchObject({ from: "DRAINING", to: "STOPPED", reason: "drained", by: "cams" });
  expect((await toldTo(aiAgentAddress)).slice(1)).toEqual([
    { type: "agent.stop", payload: { agentId: id, state: "DRAINING", reason: "evening", drain: true } },
    { type: "agent.stop", payload: { agentId: id, state: "STOPPED", reason: "drained" } },
  ]);
});

test("what is in its hand only by a lease that ran out keeps nothing up", async () => {
  const { id } = await running();
  const past = { lease_until: "now() - interval '1 s'", leased_at: "now() - interval '9 s'" };
  await task(id, { ...LEASE, ...past });
  expect((await drain(id)).body.state).toBe("STOPPED");
});

test("ends of drains leave every other agent alone, and take no more than asked for", async () => {
  const others = [await running(), await running()];
  for (const { id } of others) await tell(id, "pause");
  const draining = [await running(), await running(), await running()];
  const tasks = await Promise.all(draining.map(({ id }) => task(id)));
  for (const { id } of draining) await drain(id);
  for (const id of tasks) await finish(id);
  expect(await service.app.repo.agents.endDrains(2)).toBe(2);
  expect(await service.app.repo.agents.endDrains(2)).toBe(1);
  for (const { id } of others) expect((await agentOf(id)).state).toBe("PAUSED");
});

test("ten ends of one drain at once: one of them stops it", async () => {
  const { id } = await running();
  const held = await task(id);
  await drain(id);
  await finish(held);
  const ended = await atOnce(10, () => service.app.repo.agents.endDrain(id));
  expect(ended.toSorted()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  expect(await historyOf(id)).toHaveLength(4);
});

test("a claim that was first is counted: the drain waits for it, and does not end at once", async () => {
  const { id } = await running();
  const taskId = await task(id, {});
  const claim = `
    with a as materialized (select from cams.agents where agent_id = $1 for update)
    update cams.tasks set ${Object.entries(LEASE).map(([name, value]) => `${name} = ${value}`)}
    from a where task_id = $2`;
  await whileHeld(service, claim, [id, taskId], async (commit) => {
    const draining = drain(id);
    await sessionsWait(service, 1);
    await commit();
    expect((await draining).body.state).toBe("DRAINING");
  });
});
