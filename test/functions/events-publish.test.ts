import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);
const subscribe = (body: object) => service.post("/v1/subscriptions", body);

test("an event nobody wants is unhandled, and told once more by an event that causes none", async () => {
  const { status, body } = await service.post("/v1/events", { type: "alert.fire", payload: { floor: 3 } });
  expect(body).toEqual({ eventId: expect.any(String), messages: 0, tasks: 0, unhandled: true });
  expect(status).toBe(202);
  const { items } = (await service.get("/v1/events")).body;
  expect(items).toHaveLength(2);
  expect(items.map((item: { event: { type: string } }) => item.event.type).toSorted()).toEqual([
    "alert.fire",
    "event.unhandled",
  ]);
  expect(items.every(({ unhandled }: { unhandled: boolean }) => unhandled)).toBe(true);
  console.log(JSON.stringify(items, null, 1));
});

test("an inbox gets a message, a definition a task in its pool", async () => {
  const { aiAgentAddress } = await make.inbox();
  const { id } = await make.published({ config: { timeoutSeconds: 77 } });
  console.log((await subscribe({ eventType: "alert.*", to: { aiAgentAddress } })).body);
  console.log(
    (await subscribe({ eventType: "#", to: { definitionId: id }, filters: { floor: ">= 3" }, priority: "HIGH" })).body,
  );
  console.log(
    JSON.stringify((await service.post("/v1/subscriptions/match", { type: "alert.fire", payload: { floor: 2 } })).body),
  );
  const { body } = await service.post("/v1/events", {
    type: "alert.fire",
    payload: { floor: 3 },
    priority: "CRITICAL",
  });
  expect(body).toMatchObject({ messages: 1, tasks: 1, unhandled: false });
  const pulled = await service.post(`/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, {});
  console.log(JSON.stringify(pulled.body, null, 1));
  const tasks = await service.get(`/v1/tasks?definitionId=${id}`);
  console.log(JSON.stringify(tasks.body, null, 1));
  console.log(JSON.stringify((await service.get(`/v1/events/stats`)).body));
  for (const query of [
    "type=alert.*",
    "type=alert.%23",
    "type=%23.x",
    "source=a",
    "subject=x",
    "unhandled=false",
    "type=alert.fire",
  ])
    console.log(query, (await service.get(`/v1/events?${query}`)).body.items?.length);
});
