import { expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { agentsFor } from "./agents.ts";
import { atOnce } from "./calls.ts";

const guarded = useGuardedService();
const { service } = guarded;
const { agent, published, agentOf, inboxOf, tell, task, running, toldTo, sendTo, pull } = agentsFor(service);

type Selector = Record<string, unknown>;
const isolate = (selector: Selector, headers?: Record<string, string>) =>
  service.post("/v1/quarantine", { selector, reason: "incident 7" }, headers);
const release = (selector: Selector, headers?: Record<string, string>) =>
  service.post("/v1/release", { selector, reason: "over" }, headers);
const quarantined = async (...ids: string[]) =>
  Promise.all(ids.map(async (id) => (await agentOf(id)).quarantine !== undefined));

test("quarantines and releases those that have all of it in common, and no others", async () => {
  const { id: definitionId } = await published();
  const shared = { type: "qa", tags: ["eu", "night"], definition: { id: definitionId }, ownerTeam: "sales" };
  const ids: string[] = [];
  for (const fields of [{}, { type: "qa2" }, { tags: [] }, { definition: undefined }, { ownerTeam: "finance" }])
    ids.push((await agent({ ...shared, ...fields })).id);
  const table: [Selector, boolean[]][] = [
    [{ type: "qa" }, [true, false, true, true, true]],
    [{ tag: "night" }, [true, true, false, true, true]],
    [{ definitionId }, [true, true, true, false, true]],
    [{ ownerTeam: "finance" }, [false, false, false, false, true]],
    [{ type: "qa", tag: "eu", definitionId, ownerTeam: "sales" }, [true, false, false, false, false]],
    [{ all: true }, [true, true, true, true, true]],
    [{ type: "none" }, [false, false, false, false, false]],
  ];
  for (const [selector, expected] of table) {
    const count = expected.filter((one) => one).length;
    expect((await isolate(selector)).body, JSON.stringify(selector)).toEqual({ quarantined: count });
    expect(await quarantined(...ids), JSON.stringify(selector)).toEqual(expected);
    expect((await isolate({ all: true })).body).toEqual({ quarantined: 5 - count });
    expect((await release(selector)).body, JSON.stringify(selector)).toEqual({ released: count });
    expect(await quarantined(...ids)).toEqual(expected.map((one) => !one));
    await release({ all: true });
  }
});

test.each([{}, { all: false }, { all: true, type: "qa" }, { unknown: "x" }])(
  "400 for the selector %j",
  async (selector) => {
    const { id } = await agent();
    for (const call of [isolate, release]) expect((await call(selector)).status).toBe(400);
    expect(await quarantined(id)).toEqual([false]);
  },
);

test("of an operator only its team's, whatever it asks for; without a team none", async () => {
  const [sales, finance, nobodys] = [
    await agent({ ownerTeam: "sales" }),
    await agent({ ownerTeam: "finance" }),
    await agent(),
  ];
  const ids = [sales.id, finance.id, nobodys.id];
  const operator = guarded.key("operator");
  expect((await isolate({ ownerTeam: "finance" }, operator)).body).toEqual({ quarantined: 0 });
  expect((await isolate({ all: true }, operator)).body).toEqual({ quarantined: 1 });
  expect(await quarantined(...ids)).toEqual([true, false, false]);
  await isolate({ all: true });
  expect((await release({ all: true }, operator)).body).toEqual({ released: 1 });
  expect(await quarantined(...ids)).toEqual([false, true, true]);
  const { principalId } = await agentsFor(service).principal({ role: "operator", addresses: ["*"] });
  const teamless = { "x-cams-key": (await agentsFor(service).key(principalId)).key };
  expect((await release({ all: true }, teamless)).body).toEqual({ released: 0 });
});

test("inboxes without an agent are nobody's to quarantine", async () => {
  const { aiAgentAddress } = await agentsFor(service).inbox();
  expect((await isolate({ all: true })).body).toEqual({ quarantined: 0 });
  expect((await inboxOf(aiAgentAddress)).quarantined).toBe(false);
});

test("takes back what each of them holds, leaves what others hold, and tells each at its release", async () => {
  const [first, second, other] = [await running({ type: "bad" }), await running({ type: "bad" }), await running()];
  for (const { id, aiAgentAddress } of [first, second, other]) {
    await sendTo(aiAgentAddress);
    await pull(aiAgentAddress);
    await task(id);
  }
  await isolate({ type: "bad" });
  const held = (table: string, column: string) =>
    service.sql(`select distinct ${column} as who from cams.${table} where lease_token is not null`);
  expect(await held("messages", "recipient_address")).toEqual([{ who: other.aiAgentAddress }]);
  expect(await held("tasks", "agent_id")).toEqual([{ who: other.id }]);
  await tell(first.id, "release", { reason: "it was not this one" });
  expect((await release({ type: "bad" })).body).toEqual({ released: 1 });
  for (const { aiAgentAddress } of [first, second])
    expect((await toldTo(aiAgentAddress)).at(-1)?.type).toBe("agent.release");
  expect((await toldTo(other.aiAgentAddress)).at(-1)?.type).toBe("agent.start");
});

test("each has its entry in the audit, with the reason", async () => {
  for (let n = 0; n < 3; n++) await agent({ ownerTeam: "sales" });
  await isolate({ ownerTeam: "sales" }, guarded.key("operator"));
  const { items } = (await service.get("/v1/audit?action=updated&resourceType=inbox")).body;
  expect(items).toHaveLength(3);
  for (const item of items)
    expect(item).toMatchObject({ reason: "incident 7", actor: "operator", source: "agents-quarantine-many" });
});

test("quarantines and releases of all at once, over and over, end without a deadlock", async () => {
  for (let n = 0; n < 20; n++) await agent();
  const answers = await atOnce(16, (n) => (n % 2 ? isolate : release)({ all: true }));
  expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200));
  expect(await agentsFor(service).failedStatements()).toEqual([]);
});
