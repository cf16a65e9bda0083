import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { sessionsWait, whileHeld } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { act, claim, worker, submitTo, submitPooled, tell, statesOf, ...calls } = tasksFor(service);

test("409 for who completes when its lease lapsed and its agent was quarantined while it waited for the task's row", async () => {
  const { agentId } = await worker();
  const { body } = await submitTo(agentId);
  const [{ leaseToken }] = await claim(agentId);
  const [soon] = await service.sql(
    `update cams.tasks set lease_until = clock_timestamp() + interval '1 s', available_at = clock_timestamp() + interval '1 s'
     returning lease_until`,
  );
  // As a submission that depends on it holds it.
  await whileHeld(service, "select from cams.tasks for key share", [], async (release) => {
    const completed = act(body.taskId, "complete", { leaseToken });
    await sessionsWait(service, 1);
    await delay(Math.max(0, soon?.lease_until.getTime() - Date.now()) + 100);
    expect((await tell(agentId, "quarantine", { reason: "x" })).status).toBe(200);
    await release();
    expect(await completed).toMatchObject({ status: 409, body: { code: "lease_expired" } });
  });
  expect(await statesOf(body.taskId)).toEqual(["SUBMITTED"]);
});

test("429 when 1,000 tasks wait for one: its end has to settle all of them at once", async () => {
  const { agentId, definitionId } = await worker({}, { config: { taskQueueSize: 2000 } });
  const { body } = await submitTo(agentId);
  await service.sql(
    `with t as (
       insert into cams.tasks (task_id, agent_id, type, payload, priority, cause_kind, timeout_seconds, max_attempts,
         submitted_at, submitted_by, rank_at, available_at, waiting_for)
       select cams.uuid7(now()), $2, 't', '{}', 3, 'MANUAL', 300, 3, now(), 'test', now(), now(), 1
       from generate_series(1, 999) returning task_id)
     insert into cams.task_dependencies (depends_on, task_id) select $1, task_id from t`,
    [body.taskId, agentId],
  );
  const dependsOn = [body.taskId];
  expect((await submitTo(agentId, { dependsOn })).status).toBe(202);
  for (const refused of [await submitTo(agentId, { dependsOn }), await submitPooled(definitionId, { dependsOn })])
    expect(refused).toMatchObject({ status: 429, body: { code: "queue_full" } });
});

test("a task that depends on another, submitted while their agent is deleted, makes no deadlock", async () => {
  const { id } = await calls.agent();
  const { body } = await submitTo(id);
  await whileHeld(service, "select from cams.tasks for update", [], async (release) => {
    const submitted = submitTo(id, { dependsOn: [body.taskId] });
    await sessionsWait(service, 1);
    const deleted = service.delete(`/v1/agents/${id}`);
    await sessionsWait(service, 2);
    await release();
    expect((await submitted).status).toBe(202);
    expect((await deleted).status).toBe(204);
  });
  expect(await calls.failedStatements()).toEqual([]);
});

test("the figures of one definition are read without all others'", async () => {
  const plan = await service.sql<Record<string, string>>(
    "explain select * from cams.agent_metrics_between('-infinity', 'infinity') where definition_id = 'one'",
  );
  const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
  expect(text).toContain("definition_id = 'one'");
  expect(text).not.toContain("Function Scan");
});
