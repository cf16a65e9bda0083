import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);

test("x", async () => {
  const { aiAgentAddress } = await make.inbox();
  for (const eventType of ["agent.*", "agent.task.failed", "#", "*.*"])
    await service.post("/v1/subscriptions", { eventType, to: { aiAgentAddress } });
  const agent = await make.running({});
  await service.post(`/v1/agents/${agent.id}/pause`, {});
  await service.post(`/v1/agents/${agent.id}/resume`, {});
  const t = performance.now();
  await expect
    .poll(async () => (await service.get(`/v1/agent-inboxes/${aiAgentAddress}`)).body.pendingMessages)
    .toBe(4);
  console.log(performance.now() - t);
  console.log(
    (await service.get("/v1/events")).body.items.map((e: any) => [
      e.event.type,
      e.unhandled,
      e.messages,
      JSON.stringify(e.event.data),
    ]),
  );
  console.log((await service.post("/v1/schedules/tick")).body);
});
