import { expect, test } from "vitest";
import { ACCEPTING_STATES, type AgentVerb, BUSY_STATES, statesOf } from "../shared/rules/agent-states.ts";
import { AgentState } from "../shared/schemas/agent.ts";
import { TaskState } from "../shared/schemas/task.ts";
import { bash, scriptsOf, table } from "./support/guides.ts";
import { makerFor } from "./support/make.ts";
import { useService } from "./support/service.ts";

const service = useService();
const make = makerFor(service);

/** What the commands of a guide below a heading answer, line by line. */
async function answers(guide: string, heading: string) {
  const [script = ""] = await scriptsOf(guide, heading);
  const lines = await bash(script.replaceAll("localhost:8080", new URL(service.url).host));
  return lines.map((line) => JSON.parse(line));
}

test("docs/agents.md: its life, its queries and its quarantine run as printed", async () => {
  const life = await answers("docs/agents.md", "A life");
  expect(life).toMatchObject([
    { id: "scout", state: "CREATED", isHealthy: false },
    { state: "RUNNING" },
    { status: "success" },
    { isHealthy: true, workingTasks: 0 },
    { state: "PAUSED", stateReason: "new maps come in" },
    { state: "RUNNING" },
    { state: "STOPPED" },
    { items: [{ to: "STOPPED" }, { to: "DRAINING" }, { to: "RUNNING" }, { to: "PAUSED" }, { to: "RUNNING" }, {}] },
    { messages: ["start", "pause", "resume", "stop"].map((verb) => ({ messageType: `agent.${verb}` })) },
  ]);
  await make.agent({ type: "worker", tags: ["night"] });
  const [all, capability, words, quarantined, count] = await answers("docs/agents.md", "Find and count");
  for (const found of [all, capability, words]) expect(found.items).toMatchObject([{ id: "scout" }]);
  expect(quarantined).toEqual({ items: [] });
  expect(count).toMatchObject({ count: 2, byState: { CREATED: 1, STOPPED: 1 } });
  expect(await answers("docs/agents.md", "Quarantine")).toMatchObject([
    { quarantine: { reason: "sees ghosts" } },
    { id: "scout" },
    { quarantined: 2 },
    { released: 2 },
  ]);
});

test("docs/agents.md: its tables are the rules", async () => {
  const verbs = await table("docs/agents.md", "told");
  const shown = verbs.map(([told = "", from, to]) => [told.includes("drain") ? "drain" : told, from, to]);
  const rules = (["start", "stop", "drain", "pause", "resume", "restart"] satisfies AgentVerb[]).map((verb) => {
    const from = AgentState.options.filter((state) => statesOf(verb, state));
    return [verb, from, statesOf(verb, from[0] as AgentState)?.join(", ")];
  });
  expect(shown.map(([verb, from = "", to]) => [verb, from.split(", ").sort(), to])).toEqual(
    rules.map(([verb, from, to]) => [verb, (from as string[]).sort(), to]),
  );
  const states = await table("docs/agents.md", "state");
  expect(
    states.map(([state, accepts, claims, inHand]) => [state, accepts, claims, inHand?.startsWith("stays")]),
  ).toEqual(
    AgentState.options.map((state) => [
      state,
      ACCEPTING_STATES.includes(state) ? "yes" : "no",
      state === "RUNNING" ? "yes" : "no",
      BUSY_STATES.includes(state) && state !== "RUNNING",
    ]),
  );
});

test("docs/tasks.md: a task's life, dependencies, approval and figures run as printed", async () => {
  const life = await answers("docs/tasks.md", "A life");
  expect(life).toMatchObject([
    { id: "scribe" },
    { state: "RUNNING" },
    { state: "SUBMITTED" },
    { tasks: [{ state: "WORKING" }] },
    { taskId: expect.any(String), leaseExpiresAt: expect.any(String) },
    { state: "COMPLETED" },
    { feedback: { rating: 5 } },
    { state: "COMPLETED", result: { pages: 3 }, usage: { tokens: 1500 }, progress: { percent: 50 } },
  ]);
  expect(await answers("docs/tasks.md", "Dependencies, approval, budget")).toMatchObject([
    { id: "press", status: "DRAFT" },
    { id: "press", status: "PUBLISHED" },
    { state: "APPROVAL_REQUIRED", waitingFor: 1 },
    { state: "SUBMITTED", approval: { decision: "APPROVED" } },
    { state: "CANCELLED" },
    { state: "FAILED", error: { code: "dependency_failed" } },
    { items: [{ type: "print" }] },
    { definitionId: "press", budgetLimitUsd: 20 },
  ]);
  const states = (await table("docs/tasks.md", "state")).flatMap(([state = ""]) => state.split(", "));
  expect(states.sort()).toEqual([...TaskState.options].sort());
});

test("docs/tasks.md: what a definition promises is kept by its current version, or by the one the agent is bound to", async () => {
  const config = {
    enabled: true,
    maxParallelTasks: 1,
    timeoutSeconds: 600,
    autoRetry: false,
    approvalRequiredFor: ["print"],
  };
  const other = { maxParallelTasks: 9, timeoutSeconds: 60, autoRetry: true, approvalRequiredFor: ["write"] };
  const { id } = await make.published({ config });
  const agent = await make.running({ definition: { id }, config: { taskTimeoutSeconds: 9999 } });
  await make.published({ metadata: { id, version: "2.0.0" }, config: other });
  const submit = async (type: string) => (await service.post(`/v1/agents/${agent.id}/tasks`, { type })).body;
  // Of the whole: the current one, 2.0.0.
  expect([(await submit("print")).state, (await submit("write")).state]).toEqual(["SUBMITTED", "APPROVAL_REQUIRED"]);
  await submit("print");
  // Of an attempt: the one it is bound to, 1.0.0.
  const { tasks } = (await service.post(`/v1/agents/${agent.id}/tasks/claim`, { maxTasks: 10 })).body;
  expect(tasks).toMatchObject([{ definitionVersion: "1.0.0", timeoutSeconds: 9999 }]);
  const [{ taskId, leaseToken, startedAt, deadlineAt }] = tasks;
  expect(Date.parse(deadlineAt) - Date.parse(startedAt)).toBe(600_000);
  const failure = { leaseToken, error: { message: "no ink" } };
  expect((await service.post(`/v1/tasks/${taskId}/fail`, failure)).body.state).toBe("FAILED");

  await make.published({ metadata: { id, version: "3.0.0" }, config: { enabled: false } });
  const claim = await service.post(`/v1/agents/${agent.id}/tasks/claim`, {});
  const pooled = await service.post(`/v1/definitions/${id}/tasks`, { type: "x" });
  expect([claim.body.code, pooled.body.code]).toEqual(["definition_disabled", "definition_disabled"]);

  const rows = await table("docs/tasks.md", "`config`");
  const by = (which: RegExp) => rows.filter((row) => which.test(row[1] ?? "")).map(([field]) => field?.split(" ")[0]);
  expect(by(/current/)).toEqual(["enabled", "budgetLimitUsd", "approvalRequiredFor"]);
  expect(by(/agent's/)).toEqual(["maxParallelTasks", "timeoutSeconds", "autoRetry"]);
});
