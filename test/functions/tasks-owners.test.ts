import { expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { tasksFor } from "./task-calls.ts";

const guarded = useGuardedService();
const { service } = guarded;
const { act, claim, worker, submitTo, defined, ...calls } = tasksFor(service);

type Headers_ = Record<string, string>;

/** A caller that speaks for one address. */
async function speaker(address: string, team?: string): Promise<Headers_> {
  const { principalId } = await calls.principal({ addresses: [address], ...(team !== undefined && { team }) });
  return { "x-cams-key": (await calls.key(principalId)).key };
}

/** Registers an agent in a caller's own name; answers the answer. */
const register = (fields: Record<string, unknown>, headers: Headers_) =>
  service.post("/v1/agents", { name: "One", type: "worker", ...fields }, headers);

test("403 for who binds an agent to another team's definition, whose pool it would claim and whose budget spend", async () => {
  const id = await defined();
  const [stranger, nobody, colleague] = [
    await speaker("stranger-1", "elsewhere"),
    await speaker("nobody-1"),
    await speaker("colleague-1", "sales"),
  ];
  for (const [name, headers] of [
    ["stranger-1", stranger],
    ["nobody-1", nobody],
  ] as const) {
    const refusal = { status: 403, body: { code: "forbidden" } };
    expect(await register({ id: name, definition: { id } }, headers)).toMatchObject(refusal);
    expect((await register({ id: name }, headers)).status).toBe(201);
    expect(await service.put(`/v1/agents/${name}`, { definition: { id } }, headers)).toMatchObject(refusal);
  }
  expect((await register({ id: "colleague-1", definition: { id } }, colleague)).body.definition.id).toBe(id);
});

test("who takes over an agent's id sees nothing of the tasks of the one before; that one's caller still does", async () => {
  const [first, second] = [await speaker("first-1"), await speaker("second-1")];
  await register({ id: "shared", aiAgentAddress: "first-1" }, first);
  await service.post("/v1/agents/shared/start", {}, first);
  const { body } = await submitTo("shared", { payload: { secret: 1 } });
  const [{ leaseToken }] = await claim("shared");
  await act(body.taskId, "complete", { leaseToken, result: { secret: 2 } });
  await service.post("/v1/agents/shared/stop", {}, first);
  await service.delete("/v1/agents/shared", first);
  expect((await register({ id: "shared", aiAgentAddress: "second-1" }, second)).status).toBe(201);
  const seen = async (headers: Headers_) => [
    (await service.get(calls.at(body.taskId), headers)).status,
    (await service.get("/v1/tasks", headers)).body.items.length,
    (await service.get("/v1/tasks?agentId=shared", headers)).body.items.length,
  ];
  expect(await seen(second)).toEqual([404, 0, 0]);
  expect(await seen(first)).toEqual([200, 1, 1]);
});

test("who is quarantined does not begin anew: its inbox is deleted by its team's operators alone", async () => {
  const own = await speaker("evil-1");
  await service.post("/v1/agent-inboxes", {
    aiAgentAddress: "evil-1",
    inboxDestinationType: "PULL_QUEUE",
    ownerTeam: "sales",
  });
  await register({ id: "evil-1" }, own);
  await calls.tell("evil-1", "quarantine", { reason: "it spends too much" });
  expect((await service.delete("/v1/agents/evil-1", own)).status).toBe(204);
  const remove = (headers: Headers_) => service.delete("/v1/agent-inboxes/evil-1", headers);
  expect(await remove(own)).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect((await register({ id: "evil-1" }, own)).body.quarantine).toBeDefined();
  await service.delete("/v1/agents/evil-1", own);
  expect((await remove(guarded.key("operator"))).status).toBe(204);
});
