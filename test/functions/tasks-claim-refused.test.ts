import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { sessionsWait, whileHeld } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { taskOf, act, claim, claiming, task, tell, worker, submitTo, pooled, ...calls } = tasksFor(service);

const queueOf = async (agentId: string, n: number) => {
  for (let i = 0; i < n; i++) await submitTo(agentId);
};

describe("who may claim", () => {
  const cases: [string, string, (agentId: string, definitionId: string) => Promise<unknown>][] = [
    ["is paused", "agent_not_running", (id) => tell(id, "pause")],
    ["was stopped", "agent_not_running", (id) => tell(id, "stop")],
    [
      "drains",
      "agent_not_running",
      async (id) => {
        await claim(id);
        await tell(id, "stop", { drain: true });
      },
    ],
    ["is quarantined", "inbox_inactive", (id) => tell(id, "quarantine", { reason: "incident 7" })],
    ["has an inactive inbox", "inbox_inactive", (id) => calls.update(id, { status: "INACTIVE" })],
    [
      "is of a definition that is not enabled",
      "definition_disabled",
      (_, id) => calls.redefined(id, "2.0.0", { enabled: false }),
    ],
    [
      "is of a definition without a budget",
      "budget_exhausted",
      (_, id) => calls.redefined(id, "2.0.0", { budgetLimitUsd: 0 }),
    ],
  ];
  test.each(cases)("not one that %s: 409 %s, with tasks and without, waiting or not", async (_, code, change) => {
    const { agentId, definitionId } = await worker();
    await queueOf(agentId, 2);
    await change(agentId, definitionId);
    const detail =
      code === "inbox_inactive" ? `The inbox ${agentId} is quarantined or not active.` : expect.any(String);
    const refused = { status: 409, body: { code, detail } };
    expect(await claiming(agentId)).toMatchObject(refused);
    expect(await claiming(agentId, { waitSeconds: 10 })).toMatchObject(refused);
    await service.sql("delete from cams.tasks where lease_token is null");
    expect(await claiming(agentId)).toMatchObject(refused);
  });

  test.each([
    ["state = 'PAUSED'", "agents", "agent_id"],
    ["state = 'STOPPED'", "agents", "agent_id"],
    ["quarantined_at = now()", "agent_inboxes", "ai_agent_address"],
    ["admin_status = 'INACTIVE'", "agent_inboxes", "ai_agent_address"],
  ])(
    "nothing is leased once %s is decided, though that was not committed when the claim came",
    async (change, table, key) => {
      const { taskId, agentId } = await task();
      await whileHeld(service, `update cams.${table} set ${change} where ${key} = $1`, [agentId], async (commit) => {
        const claimed = claiming(agentId);
        await sessionsWait(service, 1);
        await commit();
        expect((await claimed).body.tasks ?? []).toEqual([]);
      });
      expect(await taskOf(taskId)).toMatchObject({ state: "SUBMITTED", attempt: 0 });
    },
  );

  test("an agent bound to another definition claims from that one's pool, and what it has still is of the old one", async () => {
    const { agentId, definitionId } = await worker();
    const other = await calls.published({ metadata: { version: "3.1.0" } });
    const [before, left, after] = [await pooled(definitionId), await pooled(definitionId), await pooled(other.id)];
    const [mine] = await claim(agentId);
    expect(mine).toMatchObject({ taskId: before, definitionId, definitionVersion: "1.0.0" });
    await service.put(`/v1/agents/${agentId}`, { definition: { id: other.id } });
    expect(await claim(agentId, { maxTasks: 9 })).toMatchObject([
      { taskId: after, definitionId: other.id, definitionVersion: "3.1.0" },
    ]);
    expect((await taskOf(left)).state).toBe("SUBMITTED");
    expect((await act(before, "complete", { leaseToken: mine.leaseToken })).status).toBe(200);
    expect(await taskOf(before)).toMatchObject({ definitionId, definitionVersion: "1.0.0" });
  });

  test("nothing of a pool is leased by an agent that was just bound to another definition", async () => {
    const { agentId, definitionId } = await worker();
    const other = await calls.defined();
    const taskId = await pooled(definitionId);
    const rebinding = `update cams.agents set definition_id = '${other}' where agent_id = $1`;
    await whileHeld(service, rebinding, [agentId], async (commit) => {
      const claimed = claim(agentId);
      await sessionsWait(service, 1);
      await commit();
      expect(await claimed).toEqual([]);
    });
    expect((await taskOf(taskId)).attempt).toBe(0);
  });
});
