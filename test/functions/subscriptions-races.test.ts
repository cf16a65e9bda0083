import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { sessionsWait, whileHeld } from "./calls.ts";

const service = useService();
const make = makerFor(service);

test("404 to a subscription of what is being deleted", async () => {
  const { aiAgentAddress } = await make.inbox();
  const { id: definitionId } = await make.definition();
  for (const [to, statement, code] of [
    [{ aiAgentAddress }, "delete from cams.agent_inboxes where ai_agent_address = $1", "inbox_not_found"],
    [
      { definitionId },
      `with version as (delete from cams.definition_versions where definition_id = $1)
       delete from cams.definitions where definition_id = $1`,
      "definition_not_found",
    ],
  ] as const)
    await whileHeld(service, statement, Object.values(to), async (release) => {
      const subscribing = service.post("/v1/subscriptions", { eventType: "#", to });
      await sessionsWait(service, 1);
      await release();
      expect(await subscribing).toMatchObject({ status: 404, body: { code } });
    });
});

test("an event of which a subscriber is being deleted waits, and then is without it; with nobody left it is unhandled", async () => {
  const { aiAgentAddress } = await make.inbox();
  const other = await make.subscription({ eventType: "order.paid" });
  await make.subscription({ eventType: "order.*", to: { aiAgentAddress } });
  const deleting = "delete from cams.agent_inboxes where ai_agent_address = $1";
  for (const [type, made] of [
    ["order.paid", { messages: 1, unhandled: false }],
    ["order.placed", { messages: 0, unhandled: true }],
  ] as const) {
    await whileHeld(service, deleting, [aiAgentAddress], async (release) => {
      const publishing = service.post("/v1/events", { type });
      await sessionsWait(service, 1);
      await release();
      expect(await publishing).toMatchObject({ status: 202, body: made });
    });
    expect(await service.sql("select from cams.messages where recipient_address = $1", [aiAgentAddress])).toEqual([]);
    await make.inbox({ aiAgentAddress });
    await make.subscription({ eventType: "order.*", to: { aiAgentAddress } });
  }
  expect(await make.pull(other.to.aiAgentAddress)).toHaveLength(1);
});

test("an event of which a definition is being disabled waits, and then makes no task", async () => {
  const { id } = await make.published({ metadata: { version: "1.0.0" } });
  await make.published({ metadata: { id, version: "2.0.0" }, config: { enabled: false } });
  await service.post(`/v1/definitions/${id}/versions/1.0.0/activate`, {});
  await make.subscription({ eventType: "order.*", to: { definitionId: id } });
  const disabling = `
    with held as materialized (select from cams.definitions where definition_id = $1 for update)
    update cams.definitions set current_version = '2.0.0' from held where definition_id = $1`;
  await whileHeld(service, disabling, [id], async (release) => {
    const publishing = service.post("/v1/events", { type: "order.paid" });
    await sessionsWait(service, 1);
    await release();
    expect(await publishing).toMatchObject({ status: 202, body: { tasks: 0, unhandled: true } });
  });
  expect(await service.sql("select from cams.tasks")).toEqual([]);
});
