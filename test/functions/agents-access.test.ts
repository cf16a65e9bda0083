import { describe, expect, test } from "vitest";
import { tablesOf } from "../contract/tables.ts";
import { type CallerName, useGuardedService } from "../support/callers.ts";
import { agentsFor } from "./agents.ts";

const guarded = useGuardedService();
const { service } = guarded;
const { agent, running, tell, at, historyOf, principal, key: keyFor } = agentsFor(service);

const strangers: CallerName[] = ["foreignAgent", "foreignOperator"];
const headersOf = (name: CallerName) => guarded.key(name);
const register = (fields: object, headers: Record<string, string>) =>
  service.post("/v1/agents", { name: "An agent", type: "worker", ...fields }, headers);

/** Somebody who speaks for these addresses. */
async function agentFor(...addresses: string[]) {
  const { principalId } = await principal({ addresses, team: "sales" });
  return { "x-cams-key": (await keyFor(principalId)).key as string };
}

async function refused(call: () => Promise<{ status: number; body: { code: string } }>) {
  const before = await tablesOf(service);
  const answer = await call();
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect(await tablesOf(service)).toEqual(before);
}

describe.each(strangers)("%s", (name) => {
  test("reads what agents are, and not why, by whom, or how busy", async () => {
    const { id } = await running({ ownerTeam: "sales", description: "d" });
    await tell(id, "pause", { reason: "secret reason" });
    await tell(id, "quarantine", { reason: "secret incident" });
    const whole = (await service.get(at(id))).body;
    expect(whole).toMatchObject({ stateReason: "secret reason", workingTasks: 0, waitingTasks: 0 });
    expect(whole.quarantine).toMatchObject({ by: "admin", reason: "secret incident" });
    const { stateReason: _, workingTasks: __, waitingTasks: ___, quarantine, ...shown } = whole;
    const expected = { ...shown, quarantine: { since: quarantine.since } };
    expect((await service.get(at(id), headersOf(name))).body).toEqual(expected);
    expect((await service.get("/v1/agents", headersOf(name))).body.items).toEqual([expected]);
  });

  test("changes nothing, commands nothing, and reads no history", async () => {
    const { id } = await running({ ownerTeam: "sales" });
    const headers = headersOf(name);
    for (const verb of ["start", "stop", "pause", "resume", "restart"])
      await refused(() => tell(id, verb, {}, headers));
    await refused(() => service.put(at(id), { name: "mine" }, headers));
    await refused(() => service.delete(at(id), headers));
    await refused(() => service.get(at(id, "history"), headers));
    await refused(() => tell(id, "quarantine", { reason: "x" }, headers));
    await refused(() => tell(id, "release", { reason: "x" }, headers));
  });

  test("registers no agent at an inbox of others, at an address that is not its own, or for another team", async () => {
    const { aiAgentAddress } = await agentsFor(service).inbox({ ownerTeam: "sales" });
    const headers = headersOf(name);
    await refused(() => register({ aiAgentAddress }, headers));
    await refused(() => register({ id: "free" }, headers));
    const own = "elsewhere-1@other.example";
    await refused(() => register({ aiAgentAddress: own, ownerTeam: "sales" }, headers));
    expect((await register({ aiAgentAddress: own }, headers)).body).toMatchObject({ ownerTeam: "elsewhere" });
  });
});

test("an agent does with its own whatever it likes, but give it away or quarantine it", async () => {
  const headers = await agentFor("mine-*");
  const { body } = await register({ id: "mine-1", ownerTeam: "sales" }, headers);
  expect(body).toMatchObject({ id: "mine-1", ownerTeam: "sales" });
  expect((await tell("mine-1", "start", { reason: "up" }, headers)).body).toMatchObject({ stateReason: "up" });
  await refused(() => service.put(at("mine-1"), { ownerTeam: "elsewhere" }, headers));
  await refused(() => tell("mine-1", "quarantine", { reason: "x" }, headers));
  expect((await service.put(at("mine-1"), { config: { heartbeatIntervalSeconds: 9 } }, headers)).status).toBe(200);
  expect((await tell("mine-1", "stop", {}, headers)).status).toBe(200);
  expect((await service.get(at("mine-1", "history"), headers)).body.items).toHaveLength(3);
  expect((await service.delete(at("mine-1"), headers)).status).toBe(204);
  expect((await service.get(at("mine-1", "history"), headers)).body.items).toHaveLength(3);
});

test("an operator of the team does all of it, for inboxes that it does not speak for", async () => {
  const { principalId } = await principal({ role: "operator", team: "sales", addresses: [] });
  const headers = { "x-cams-key": (await keyFor(principalId)).key };
  const { id } = await agent({ ownerTeam: "sales" });
  const { id: other } = await agent({ ownerTeam: "finance" });
  expect((await tell(id, "start", {}, headers)).status).toBe(200);
  expect((await tell(id, "quarantine", { reason: "x" }, headers)).body.quarantine.by).toBe(principalId);
  expect((await tell(id, "release", { reason: "x" }, headers)).status).toBe(200);
  await refused(() => tell(other, "start", {}, headers));
  await refused(() => tell(other, "quarantine", { reason: "x" }, headers));
  const { aiAgentAddress } = await agentsFor(service).inbox({ ownerTeam: "sales" });
  expect((await register({ aiAgentAddress }, headers)).status).toBe(201);
});

test("an operator who speaks for an agent of another team commands it, but does not quarantine it", async () => {
  const { principalId } = await principal({ role: "operator", team: "finance", addresses: ["*"] });
  const headers = { "x-cams-key": (await keyFor(principalId)).key };
  const { id } = await agent({ ownerTeam: "sales" });
  await refused(() => tell(id, "quarantine", { reason: "x" }, headers));
  expect((await tell(id, "start", {}, headers)).status).toBe(200);
});

test("whose id an agent takes over after it was deleted keeps its history to itself", async () => {
  const [first, second] = [await agentFor("first@corp.example"), await agentFor("second@corp.example")];
  await register({ id: "shared", aiAgentAddress: "first@corp.example" }, first);
  await tell("shared", "stop", { reason: "first's secret" }, first);
  await service.delete(at("shared"), first);
  await register({ id: "shared", aiAgentAddress: "second@corp.example" }, second);
  expect((await service.get(at("shared", "history"), second)).body.items).toMatchObject([{ to: "CREATED" }]);
  await refused(() => service.get(at("shared", "history"), first));
  expect(await historyOf("shared")).toHaveLength(1);
});

test("when inbox and agent are gone, whoever owned it as an operator finds no history", async () => {
  const { principalId } = await principal({ role: "operator", team: "sales", addresses: [] });
  const headers = { "x-cams-key": (await keyFor(principalId)).key };
  const { id, aiAgentAddress } = await agent({ ownerTeam: "sales" });
  await service.delete(at(id));
  expect((await service.get(at(id, "history"), headers)).status).toBe(200);
  await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
  expect((await service.get(at(id, "history"), headers)).body.code).toBe("agent_not_found");
  expect(await historyOf(id)).toHaveLength(1);
});
