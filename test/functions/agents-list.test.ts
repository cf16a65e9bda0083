import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { allPages } from "./calls.ts";

const service = useService();
const { agent, running, inState, published, report, quarantine, tell } = agentsFor(service);

type Named = { id: string };
const listed = async (query: Record<string, string>) =>
  (await allPages(service, `/v1/agents?${new URLSearchParams(query)}`)).map(({ id }: Named) => id);
const counted = async (query: Record<string, string> = {}) =>
  (await service.get(`/v1/agents/count?${new URLSearchParams(query)}`)).body;

/** Agents that differ in one thing each; the first has all of them. */
async function various() {
  const { id: definitionId } = await published();
  const shared = {
    type: "qa",
    tags: ["night", "eu"],
    capabilities: ["refunds"],
    definition: { id: definitionId },
    ownerTeam: "sales",
  };
  const { id: a } = await inState("RUNNING", shared);
  const { aiAgentAddress } = (await service.get(`/v1/agents/${a}`)).body;
  await report(aiAgentAddress);
  const { id: b } = await agent({ ...shared, type: "qa2" });
  const { id: c } = await agent({ ...shared, tags: ["nigh"] });
  const { id: d } = await agent({ ...shared, capabilities: [] });
  const { definition: _, ...unbound } = shared;
  const { id: e } = await agent(unbound);
  const { id: f } = await agent({ ...shared, ownerTeam: "finance" });
  await tell(c, "quarantine", { reason: "drill" });
  return { a, b, c, d, e, f, definitionId };
}

describe("a list", () => {
  test("by each filter has those that fit, newest first, and the count agrees", async () => {
    const { a, b, c, d, e, f, definitionId } = await various();
    const table: [Record<string, string>, string[]][] = [
      [{}, [f, e, d, c, b, a]],
      [{ type: "qa" }, [f, e, d, c, a]],
      [{ type: "QA" }, []],
      [{ state: "RUNNING" }, [a]],
      [{ state: "CREATED" }, [f, e, d, c, b]],
      [{ healthy: "true" }, [a]],
      [{ healthy: "false" }, [f, e, d, c, b]],
      [{ quarantined: "true" }, [c]],
      [{ quarantined: "false" }, [f, e, d, b, a]],
      [{ definitionId }, [f, d, c, b, a]],
      [{ ownerTeam: "sales" }, [e, d, c, b, a]],
      [{ tag: "night" }, [f, e, d, b, a]],
      [{ tag: "nigh" }, [c]],
      [{ capability: "refunds" }, [f, e, c, b, a]],
      [{ capability: "refund" }, []],
      [{ type: "qa", tag: "eu", capability: "refunds", ownerTeam: "sales" }, [e, a]],
      [{ definitionId, healthy: "false", tag: "night", ownerTeam: "sales" }, [d, b]],
      [{ q: "qa", state: "CREATED", ownerTeam: "finance" }, [f]],
    ];
    for (const [query, ids] of table) {
      expect(await listed({ ...query, pageSize: "2" }), JSON.stringify(query)).toEqual(ids);
      expect((await counted(query)).count, JSON.stringify(query)).toBe(ids.length);
    }
  });

  test("of several made at the same moment loses and repeats none over its pages", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) ids.push((await agent()).id);
    await service.sql("update cams.agents set created_at = '2026-11-22T10:00:00Z'");
    expect(await listed({ pageSize: "2" })).toEqual(ids.toSorted().toReversed());
  });

  test("goes on with its pages while others are registered", async () => {
    const ids = [(await agent()).id, (await agent()).id, (await agent()).id];
    const pages = await allPages(service, "/v1/agents?pageSize=1", () => agent());
    expect(pages.map(({ id }: Named) => id)).toEqual(ids.toReversed());
  });

  test("shows each as the look-up does, but for what it works on", async () => {
    const { id, aiAgentAddress } = await running({ description: "d", ownerTeam: "sales" });
    await quarantine(aiAgentAddress);
    const { workingTasks, waitingTasks, ...shown } = (await service.get(`/v1/agents/${id}`)).body;
    expect([workingTasks, waitingTasks]).toEqual([0, 0]);
    expect((await service.get("/v1/agents")).body).toEqual({ items: [shown] });
    expect(shown.quarantine).toEqual({ since: expect.stringMatching(/^20.*Z$/) });
  });
});

describe("a search", () => {
  test.each([
    ["support", true],
    ["SUPP", true],
    ["upport", false],
    ["1", true],
    ["eu-west", true],
    ["west eu", true],
    ["west us", false],
    ["escalat", true],
    ["invoice", true],
    ["qa manager", true],
    ["manag", true],
    ["ünter", false],
    ["günter", true],
    ["night-shift", true],
    ["shift", true],
    ["region", true],
    ["corp.example/x_y", true],
    ["&|!:*()'\\", false],
    ["sup:* & !zzz", false],
    ["sup & nig", true],
  ])("for %j finds it: %s", async (q, found) => {
    await agent({
      id: "support-1",
      name: "Günter's desk",
      type: "qa-manager",
      description: "Answers what escalates",
      tags: ["night-shift", "invoices"],
      metadata: { region: "eu-west", owner: "desk@corp.example/x_y" },
    });
    expect(await listed({ q })).toEqual(found ? ["support-1"] : []);
  });

  test("finds what an update made of it", async () => {
    const { id } = await agent({ tags: ["old"] });
    await service.put(`/v1/agents/${id}`, { tags: ["new"] });
    expect([await listed({ q: "old" }), await listed({ q: "ne" })]).toEqual([[], [id]]);
  });
});

describe("a count", () => {
  test("is by state, by type and by health", async () => {
    const { aiAgentAddress } = await inState("PAUSED", { type: "a" });
    await inState("RUNNING", { type: "a" });
    await inState("RUNNING", { type: "constructor" });
    await report(aiAgentAddress, "UNHEALTHY");
    expect(await counted()).toEqual({
      count: 3,
      byState: { RUNNING: 2, PAUSED: 1 },
      byType: { a: 2, constructor: 1 },
      byHealth: { UNKNOWN: 2, UNHEALTHY: 1 },
    });
    expect(await counted({ state: "PAUSED" })).toEqual({
      count: 1,
      byState: { PAUSED: 1 },
      byType: { a: 1 },
      byHealth: { UNHEALTHY: 1 },
    });
  });

  test("of nothing is 0, and of many types has the 100 most frequent", async () => {
    expect(await counted()).toEqual({ count: 0, byState: {}, byType: {}, byHealth: {} });
    await agent({ type: "z" });
    await service.sql(`
      begin; set local session_replication_role = replica;
      insert into cams.agents (agent_id, name, type, ai_agent_address, created_at, created_by, updated_at, updated_by)
      select 'a' || n, 'n', 't' || lpad((n / 2)::text, 3, '0'), 'a' || n, now(), 't', now(), 't' from generate_series(2, 241) n;
      insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
        last_updated_timestamp, updated_by)
      select 'a' || n, 'PULL_QUEUE', 'a', now(), now(), 't' from generate_series(2, 241) n;
      commit`);
    const { count, byType } = await counted();
    expect([count, Object.keys(byType).length, byType.t001, byType.t100, byType.t101, byType.z]).toEqual([
      241,
      100,
      2,
      2,
      undefined,
      undefined,
    ]);
  });

  test("`count` is no agent", async () => {
    expect((await service.get("/v1/agents/count")).body.count).toBe(0);
  });
});
