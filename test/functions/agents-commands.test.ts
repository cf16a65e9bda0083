import { describe, expect, test } from "vitest";
import { AgentState } from "../../shared/schemas/agent.ts";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { atOnce } from "./calls.ts";

const service = useService();
const { agent, running, tell, agentOf, historyOf, toldTo, inState, task, pulled, quarantine } = agentsFor(service);

/** From which states each command leads through which. */
const commands: Record<string, { body?: Record<string, unknown>; leads: Partial<Record<AgentState, AgentState[]>> }> = {
  start: { leads: { CREATED: ["RUNNING"], STOPPED: ["RUNNING"], FAILED: ["RUNNING"] } },
  stop: {
    leads: {
      CREATED: ["STOPPED"],
      RUNNING: ["STOPPED"],
      PAUSED: ["STOPPED"],
      DRAINING: ["STOPPED"],
      FAILED: ["STOPPED"],
    },
  },
  "stop with drain": { body: { drain: true }, leads: { RUNNING: ["DRAINING", "STOPPED"] } },
  pause: { leads: { RUNNING: ["PAUSED"] } },
  resume: { leads: { PAUSED: ["RUNNING"] } },
  restart: {
    leads: {
      CREATED: ["STOPPED", "RUNNING"],
      RUNNING: ["STOPPED", "RUNNING"],
      PAUSED: ["STOPPED", "RUNNING"],
      DRAINING: ["STOPPED", "RUNNING"],
      FAILED: ["STOPPED", "RUNNING"],
    },
  },
};
const pairs = Object.entries(commands).flatMap(([command, { body = {}, leads }]) =>
  AgentState.options.map((from) => ({
    command,
    verb: command.split(" ")[0] as string,
    body,
    from,
    leads: leads[from],
  })),
);

describe("a command leads along the allowed states, is recorded step by step, and told", () => {
  test.each(pairs.filter(({ leads }) => leads))("$command, from $from", async ({ verb, body, from, leads = [] }) => {
    const { id, aiAgentAddress } = await inState(from);
    const [before, history, told] = [await agentOf(id), await historyOf(id), await toldTo(aiAgentAddress)];
    const answer = await tell(id, verb, { ...body, reason: "because" });
    expect(answer).toMatchObject({
      status: 200,
      body: { state: leads.at(-1), revision: before.revision + leads.length },
    });
    expect(answer.headers.get("etag")).toBe(`"${before.revision + leads.length}"`);
    const drained = leads.length === 2 && leads[0] === "DRAINING";
    const reasons = drained ? ["because", "drained"] : leads.map(() => "because");
    expect(answer.body.stateReason).toBe(reasons.at(-1));
    const steps = leads.map((to, n) => {
      return { at: expect.any(String), from: leads[n - 1] ?? from, to, reason: reasons[n], by: "local" };
    });
    expect(await historyOf(id)).toEqual([...steps.toReversed(), ...history]);
    const payload = { agentId: id, state: leads.at(-1), reason: "because", ...body };
    expect(await toldTo(aiAgentAddress)).toEqual([...told, { type: `agent.${verb}`, payload }]);
  });
});

describe("any other is refused, and says what can be told", () => {
  test.each(pairs.filter(({ leads }) => !leads))("$command, of one that is $from", async ({ verb, body, from }) => {
    const { id, aiAgentAddress } = await inState(from);
    const before = [await agentOf(id), await historyOf(id), await toldTo(aiAgentAddress)];
    const answer = await tell(id, verb, body);
    expect(answer).toMatchObject({ status: 409, body: { code: "agent_transition_refused" } });
    for (const [name, { leads }] of Object.entries(commands)) {
      const named = new RegExp(`but .*\\b${name}\\b(?! with)`).test(answer.body.detail);
      expect(named, `${name} in: ${answer.body.detail}`).toBe(leads[from] !== undefined);
    }
    expect([await agentOf(id), await historyOf(id), await toldTo(aiAgentAddress)]).toEqual(before);
  });
});

test("the message waits five minutes at most, and one that waits for messages has it at once", async () => {
  const { id, aiAgentAddress } = await agent();
  const waiting = pulled(aiAgentAddress, { waitSeconds: 20 });
  await expect.poll(() => agentsFor(service).waiting()).toBe(1);
  await tell(id, "start");
  const { messages } = (await waiting).body;
  expect(messages).toMatchObject([
    {
      messageType: "agent.start",
      senderAddress: "cams",
      payload: { agentId: id, state: "RUNNING" },
      timeToLiveSeconds: 300,
    },
  ]);
});

test("one whose inbox takes no messages is led all the same, and not told", async () => {
  const { id, aiAgentAddress } = await agent();
  await quarantine(aiAgentAddress);
  expect((await tell(id, "start")).body).toMatchObject({ state: "RUNNING", quarantine: {} });
  expect(await toldTo(aiAgentAddress)).toEqual([]);
});

test("ten equal commands at once: one is obeyed, nine are refused", async () => {
  const { id } = await running();
  const answers = await atOnce(10, () => tell(id, "pause"));
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(9).fill(409)]);
  expect(await historyOf(id)).toHaveLength(3);
});

test("If-Match decides which of ten different commands at once is obeyed", async () => {
  const { id, revision } = await running();
  const verbs = ["pause", "stop", "restart"];
  const answers = await atOnce(9, (n) => tell(id, verbs[n % 3] as string, {}, { "if-match": `"${revision}"` }));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ body }) => body.code === "revision_mismatch")).toHaveLength(8);
});

test.each(["stop", "restart"])("%s takes back what the agent works on, without counting the attempt", async (verb) => {
  const { id } = await running();
  const [mine, other] = [await task(id), await task((await running()).id)];
  await tell(id, verb);
  const rows = await service.sql(
    "select task_id, attempt, lease_token, agent_id, attempts from cams.tasks order by seq",
  );
  expect(rows).toMatchObject([
    {
      task_id: mine,
      attempt: 0,
      lease_token: null,
      agent_id: id,
      attempts: [{ outcome: "INTERRUPTED", detail: "the agent was stopped" }],
    },
    { task_id: other, attempt: 1, lease_token: expect.any(String) },
  ]);
});

test("pausing leaves it what it works on", async () => {
  const { id } = await running();
  await task(id);
  await tell(id, "pause");
  expect(await agentOf(id)).toMatchObject({ state: "PAUSED", workingTasks: 1 });
});

test("the audit has the reason of a command, and each step before and after", async () => {
  const { id } = await running({ ownerTeam: "sales" });
  await tell(id, "restart", { reason: "new keys" });
  const { items } = (await service.get(`/v1/audit?resourceType=agent&resourceId=${id}`)).body;
  expect(items.slice(0, 2)).toMatchObject([
    { reason: "new keys", ownerTeam: "sales", before: { state: "STOPPED" }, after: { state: "RUNNING" } },
    { reason: "new keys", before: { state: "RUNNING" }, after: { state: "STOPPED", stateReason: "new keys" } },
  ]);
});
