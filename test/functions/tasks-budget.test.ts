import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { act, claim, claiming, worker, pooled, submitTo, redefined, sweep } = tasksFor(service);

/** What the sweep has noted. */
const notices = async () => {
  await sweep();
  const rows = await service.sql<{ percent: number; limit_usd: string }>(
    "select percent, limit_usd::float8 as limit_usd from cams.budget_notices order by at, limit_usd, percent",
  );
  return rows.map(({ percent, limit_usd }) => `${percent} % of ${limit_usd}`);
};

/** Works one task of the pool off at a cost. */
async function spend({ agentId, definitionId }: { agentId: string; definitionId: string }, costUsd: number) {
  const taskId = await pooled(definitionId);
  const [{ leaseToken }] = await claim(agentId);
  expect((await act(taskId, "complete", { leaseToken, usage: { costUsd } })).status).toBe(200);
}
const refusal = async (agentId: string) => (await claiming(agentId)).body.code;

test("70, 90 and 100 % are noted by the sweep after they are reached, each once, and anew under a raised limit", async () => {
  const at = await worker({ budgetLimitUsd: 10 });
  const spent: [number, string[]][] = [
    [6.99, []],
    [0.01, ["70 % of 10"]],
    [1, []],
    [1.5, ["90 % of 10"]],
    [5, ["100 % of 10"]],
  ];
  const all: string[] = [];
  for (const [cost, more] of spent) {
    await spend(at, cost);
    all.push(...more);
    expect(await notices()).toEqual(all);
  }
  await atOnce(3, () => sweep());
  expect(await notices()).toEqual(all);
  await redefined(at.definitionId, "2.0.0", { budgetLimitUsd: 20 });
  expect(await notices()).toEqual([...all, "70 % of 20"]);
});

test("without a limit nothing is noted or refused, but the cost is known", async () => {
  const at = await worker();
  await spend(at, 100);
  expect(await notices()).toEqual([]);
  const { body } = await service.get(`/v1/definitions/${at.definitionId}/metrics`);
  expect(body.costThisMonthUsd).toBe(100);
  expect(body).not.toHaveProperty("budgetLimitUsd");
  expect(await claim(at.agentId)).toEqual([]);
});

test("at 100 % claims are refused, of the agent's own queue too, until the limit is raised", async () => {
  const at = await worker({ budgetLimitUsd: 1 });
  await spend(at, 0.999999);
  const first = await pooled(at.definitionId);
  const [{ leaseToken }] = await claim(at.agentId);
  await submitTo(at.agentId);
  await act(first, "progress", { leaseToken, usage: { costUsd: 0.000001 } });
  expect(await refusal(at.agentId)).toBe("budget_exhausted");
  // What is in a hand goes on.
  expect((await act(first, "complete", { leaseToken })).status).toBe(200);
  await redefined(at.definitionId, "2.0.0", { budgetLimitUsd: 2 });
  expect(await claim(at.agentId)).toHaveLength(1);
});

test("the next month is free again: what was spent stays with its own", async () => {
  const at = await worker({ budgetLimitUsd: 1 });
  await spend(at, 1);
  await submitTo(at.agentId);
  expect(await refusal(at.agentId)).toBe("budget_exhausted");
  await service.sql("update cams.definition_costs set month = month - interval '1 month'");
  expect(await claim(at.agentId)).toHaveLength(1);
  const { body } = await service.get(`/v1/definitions/${at.definitionId}/metrics`);
  expect([body.costThisMonthUsd, body.budgetLimitUsd]).toEqual([0, 1]);
});

test.each([
  ["a running attempt", "progress", {}],
  ["a failed attempt that is repeated", "fail", { error: { message: "no" } }],
  ["a failed task", "fail", { error: { message: "no" }, retryable: false }],
])("what %s cost counts", async (_, verb, fields) => {
  const at = await worker({ budgetLimitUsd: 1 });
  const taskId = await pooled(at.definitionId);
  const [{ leaseToken }] = await claim(at.agentId);
  await act(taskId, verb, { leaseToken, usage: { costUsd: 1 }, ...fields });
  expect(await refusal(at.agentId)).toBe("budget_exhausted");
  expect(await notices()).toEqual(["70 % of 1", "90 % of 1", "100 % of 1"]);
});

test("one budget is not another's", async () => {
  const [poor, rich] = [await worker({ budgetLimitUsd: 1 }), await worker({ budgetLimitUsd: 1 })];
  await spend(poor, 1);
  await submitTo(rich.agentId);
  expect(await claim(rich.agentId)).toHaveLength(1);
});

test("20 that spend at once: nothing is lost, and each part is noted once", async () => {
  const config = { maxConcurrentTasks: 20 };
  const at = await worker({ budgetLimitUsd: 20, maxParallelTasks: 20 }, { config });
  await atOnce(20, () => pooled(at.definitionId));
  const claimed: { taskId: string; leaseToken: string }[] = await claim(at.agentId, { maxTasks: 20 });
  await Promise.all(
    claimed.map(({ taskId, leaseToken }) => act(taskId, "complete", { leaseToken, usage: { costUsd: 1 } })),
  );
  const { body } = await service.get(`/v1/definitions/${at.definitionId}/metrics`);
  expect([body.costThisMonthUsd, body.versions[0].costUsd]).toEqual([20, 20]);
  expect((await notices()).toSorted()).toEqual(["100 % of 20", "70 % of 20", "90 % of 20"]);
});
