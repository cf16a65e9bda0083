import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const make = makerFor(service);
const { act, worker, submitTo, claiming } = tasksFor(service);

const subscribe = (eventType: string, aiAgentAddress: string) =>
  service.post("/v1/subscriptions", { eventType, to: { aiAgentAddress } });
/** What happened in the service, oldest first. */
async function happened(prefix: string) {
  const { items } = (await service.get(`/v1/events?source=/cams&type=${prefix}.%23`)).body;
  return items.toReversed().map(({ event }: { event: { type: string; subject: string } }) => event.type);
}
const pending = async (address: string) =>
  (await service.get(`/v1/agent-inboxes/${address}`)).body.pendingMessages as number;

describe("what happens in the service is in the log", () => {
  test("agents, by what became of them", async () => {
    const { id } = await make.running();
    for (const verb of ["pause", "resume", "stop"]) await service.post(`/v1/agents/${id}/${verb}`, {});
    expect(await happened("agent")).toEqual([
      "agent.registered",
      "agent.started",
      "agent.paused",
      "agent.resumed",
      "agent.stopped",
    ]);
  });

  test("tasks, when an attempt begins and when they end", async () => {
    const { agentId } = await worker();
    const work = async (verb: string, body: object) => {
      await submitTo(agentId);
      const [{ taskId, leaseToken }] = (await claiming(agentId)).body.tasks;
      await act(taskId, verb, { leaseToken, ...body });
    };
    await work("complete", {});
    await work("fail", { error: { message: "broken" }, retryable: false });
    expect(await happened("agent.task")).toEqual([
      "agent.task.started",
      "agent.task.completed",
      "agent.task.started",
      "agent.task.failed",
    ]);
  });

  test("definitions, when another version is current and when they are retired", async () => {
    const { id } = await make.published({ metadata: { version: "1.0.0" } });
    await make.published({ metadata: { id, version: "2.0.0" } });
    await service.delete(`/v1/definitions/${id}`);
    expect(await happened("definition")).toEqual([
      "definition.activated",
      "definition.activated",
      "definition.retired",
    ]);
  });

  test("budgets, as their parts are reached", async () => {
    const { agentId } = await worker({ budgetLimitUsd: 10 });
    await submitTo(agentId);
    const [{ taskId, leaseToken }] = (await claiming(agentId)).body.tasks;
    await act(taskId, "complete", { leaseToken, usage: { costUsd: 9.5 } });
    await service.post("/v1/agent-health-sweep");
    const { items } = (await service.get("/v1/events?type=budget.reached")).body;
    expect(
      items
        .map(({ priority, event }: { priority: string; event: { data: { percent: number } } }) => [
          priority,
          event.data.percent,
        ])
        .toSorted(),
    ).toEqual([
      ["HIGH", 90],
      ["NORMAL", 70],
    ]);
  });
});

test("who subscribed to it gets it, soon; a pattern that begins with a wildcard does not mean it", async () => {
  const [{ aiAgentAddress }, other] = [await make.inbox(), await make.inbox()];
  await subscribe("agent.*", aiAgentAddress);
  for (const pattern of ["#", "*.*", "*.paused"]) await subscribe(pattern, other.aiAgentAddress);
  const { id } = await make.running();
  await service.post(`/v1/agents/${id}/pause`, {});
  await expect.poll(() => pending(aiAgentAddress)).toBe(3);
  expect(await pending(other.aiAgentAddress)).toBe(0);
  const { items } = (await service.get("/v1/events?source=/cams")).body;
  expect(
    items.map(({ messages, unhandled }: { messages: number; unhandled: boolean }) => [messages, unhandled]),
  ).toEqual(Array(3).fill([1, false]));
});

test("nobody's is no unhandled event, and causes none", async () => {
  await make.running();
  expect((await service.get("/v1/events?unhandled=true")).body.items).toEqual([]);
});

test("what a process that was killed left undone, the tick does, once", async () => {
  const { aiAgentAddress } = await make.inbox();
  await subscribe("agent.*", aiAgentAddress);
  // Past the service, so that no process hears of it.
  // The process itself looks a second time for what earlier tests made happen.
  await delay(500);
  for (let n = 0; n < 350; n++)
    await service.sql("select cams.publish_from_cams('agent.started', 'a', jsonb_build_object('n', $1::int), 3)", [n]);
  const ticks = await Promise.all([1, 2, 3].map(() => service.post("/v1/schedules/tick")));
  expect(ticks.reduce((sum, { body }) => sum + body.eventsRouted, 0)).toBe(350);
  expect(await pending(aiAgentAddress)).toBe(350);
});

test.each(["/cams", "/v1/events", "/v1/schedules/x", "/v1/principals/somebody"])(
  "nobody publishes with the source %s, which is not its own",
  async (source) => {
    const detail = `The source ${source} is not yours: name another, or none, which is /v1/principals/local.`;
    const refused = await service.post("/v1/events", { type: "order.placed", source });
    expect(refused).toMatchObject({ status: 403, body: { detail } });
  },
);

test("nobody says that something happened in the service itself, in no mode; who would get it may be asked", async () => {
  const refused = { status: 403, body: { code: "forbidden", detail: expect.stringContaining("agent.failed is what") } };
  expect(await service.post("/v1/events", { type: "agent.failed" })).toMatchObject(refused);
  const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "agent.failed" };
  expect(await service.raw("POST", "/v1/events", undefined, headers)).toMatchObject(refused);
  expect((await service.post("/v1/subscriptions/match", { type: "agent.failed" })).status).toBe(200);
  expect((await service.get("/v1/events")).body.items).toEqual([]);
});

test("a schedule cannot say so either, and is told when it is made or changed", async () => {
  const errors = [{ pointer: "/eventType", message: "is what the service itself says" }];
  const fields = { name: "n", cron: "@daily" };
  const made = await service.post("/v1/schedules", { ...fields, eventType: "agent.failed" });
  expect(made).toMatchObject({ status: 400, body: { errors } });
  const { scheduleId } = await make.schedule();
  const changed = await service.put(`/v1/schedules/${scheduleId}`, { eventType: "event.unhandled" });
  expect(changed).toMatchObject({ status: 400, body: { errors } });
});
