import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const make = makerFor(service);
const NEVER = "never.happens";

const publish = (event: object, headers?: Record<string, string>) => service.post("/v1/events", event, headers);
const subscribe = (eventType: string, to: object, rest: object = {}) =>
  service.post("/v1/subscriptions", { eventType, to, ...rest });
const pull = async (address: string) =>
  (await service.post(`/v1/agent-inboxes/${address}/messages/pull`, { maxMessages: 100 })).body.messages;
const tasksOf = async (definitionId: string) =>
  (await service.get(`/v1/tasks?definitionId=${definitionId}`)).body.items;
const logged = async (query = "") => (await service.get(`/v1/events${query}`)).body.items;

describe("an event that nobody gets", () => {
  test("is unhandled, and told by one event, which causes none", async () => {
    const { body } = await publish({ type: "alert.fire", payload: { floor: 3 } });
    expect(body).toEqual({ eventId: expect.any(String), messages: 0, tasks: 0, unhandled: true });
    const [told, event, ...others] = await logged();
    expect(others).toEqual([]);
    expect(event).toMatchObject({ ...body, event: { type: "alert.fire", data: { floor: 3 } } });
    expect(told).toMatchObject({ publishedBy: "cams", priority: "LOW", unhandled: false });
    expect(told.event).toMatchObject({ type: "event.unhandled", data: { eventId: body.eventId, type: "alert.fire" } });
  });

  test("is told to who subscribed to that; a pattern that begins with a wildcard does not mean it", async () => {
    const [{ aiAgentAddress }, other] = [await make.inbox(), await make.inbox()];
    await subscribe("event.*", { aiAgentAddress });
    await subscribe("*.unhandled", { aiAgentAddress: other.aiAgentAddress });
    const { body } = await publish({ type: "alert.fire" });
    expect(await pull(aiAgentAddress)).toMatchObject([{ payload: { subject: body.eventId } }]);
    expect(await pull(other.aiAgentAddress)).toEqual([]);
    expect(await logged("?unhandled=true")).toHaveLength(1);
  });
});

describe("what is made of an event", () => {
  test("is a message with the CloudEvent to an inbox, in the priority of the event", async () => {
    const { aiAgentAddress } = await make.inbox();
    const { subscriptionId } = (await subscribe("alert.*", { aiAgentAddress })).body;
    const { eventId } = (
      await publish({ type: "alert.fire", payload: [1, null], subject: "hall", priority: "CRITICAL" })
    ).body;
    const [message] = await pull(aiAgentAddress);
    expect(message).toMatchObject({
      ...{ senderAddress: "cams", messageType: "alert.fire", priority: "CRITICAL", correlationId: eventId },
      metadata: { eventId, subscriptionId },
      payload: { specversion: "1.0", type: "alert.fire", subject: "hall", eventid: eventId, data: [1, null] },
    });
    expect(message.payload).toEqual((await logged())[0].event);
  });

  test("is there at once for who waits for it", async () => {
    const { aiAgentAddress } = await make.inbox();
    await subscribe("alert.*", { aiAgentAddress });
    const waiting = service.post(`/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, { waitSeconds: 20 });
    await expect.poll(callsFor(service).waiting).toBe(1);
    const published = performance.now();
    await publish({ type: "alert.fire" });
    expect((await waiting).body.messages).toHaveLength(1);
    // By the clock it would look after two seconds.
    expect(performance.now() - published).toBeLessThan(1_500);
  });

  test("is a task in a definition's pool, as its current version has tasks, in the priority of the subscription", async () => {
    const { id } = await make.published({ config: { timeoutSeconds: 77, approvalRequiredFor: ["alert.fire"] } });
    await subscribe("alert.fire", { definitionId: id }, { priority: "HIGH" });
    const { body } = await publish({ type: "alert.fire", payload: { floor: 3 } });
    expect(body).toMatchObject({ messages: 0, tasks: 1, unhandled: false });
    expect(await tasksOf(id)).toMatchObject([
      {
        ...{ type: "alert.fire", state: "APPROVAL_REQUIRED", priority: "HIGH", timeoutSeconds: 77, pooled: true },
        ...{ cause: { kind: "EVENT", id: body.eventId }, payload: { data: { floor: 3 } } },
      },
    ]);
  });

  test("is one thing for each target, however many subscriptions fit, in the highest priority of them", async () => {
    const { aiAgentAddress } = await make.inbox();
    await subscribe("alert.*", { aiAgentAddress }, { priority: "LOW" });
    await subscribe("#", { aiAgentAddress }, { priority: "HIGH" });
    await subscribe("alert.fire", { aiAgentAddress }, { priority: "CRITICAL", filters: { floor: 9 } });
    expect((await publish({ type: "alert.fire", payload: { floor: 3 } })).body).toMatchObject({ messages: 1 });
    expect(await pull(aiAgentAddress)).toMatchObject([{ priority: "HIGH" }]);
  });

  test("waits for an inbox that is quarantined, and is there when it is released", async () => {
    const { id, aiAgentAddress } = await make.running();
    await subscribe("alert.fire", { aiAgentAddress });
    await service.post(`/v1/agents/${id}/quarantine`, { reason: "odd" });
    expect((await publish({ type: "alert.fire" })).body).toMatchObject({ messages: 1 });
    await service.post(`/v1/agents/${id}/release`, { reason: "looked into" });
    expect((await pull(aiAgentAddress)).map((one: { messageType: string }) => one.messageType)).toContain("alert.fire");
  });

  test.each([
    ["not enabled", (id: string) => make.published({ metadata: { id, version: "2.0.0" }, config: { enabled: false } })],
    ["retired", (id: string) => service.delete(`/v1/definitions/${id}`)],
  ])("is nothing for a definition that is %s: the event is unhandled", async (_, close) => {
    const { id } = await make.published();
    await subscribe("alert.fire", { definitionId: id });
    await close(id);
    expect((await publish({ type: "alert.fire" })).body).toMatchObject({ tasks: 0, unhandled: true });
    expect(await tasksOf(id)).toEqual([]);
  });
});

test("while a definition's versions change places, each event makes exactly one task", async () => {
  const triggers = [{ eventType: "alert.*" }];
  const { id } = await make.published({ metadata: { version: "1.0.0" }, triggers });
  await make.published({ metadata: { id, version: "2.0.0" }, triggers });
  let done = false;
  const switching = (async () => {
    for (let n = 0; !done; n++)
      expect((await service.post(`/v1/definitions/${id}/versions/${1 + (n % 2)}.0.0/activate`, {})).status).toBe(200);
  })();
  const publisher = async () => {
    for (let n = 0; n < 40; n++)
      expect((await publish({ type: "alert.fire" })).body).toMatchObject({ tasks: 1, unhandled: false });
  };
  await Promise.all([publisher(), publisher(), publisher()]);
  done = true;
  await switching;
  const [{ count }] = (await service.sql("select count(*)::int from cams.tasks")) as [{ count: number }];
  expect(count).toBe(120);
});

test("while an inbox comes and goes with its subscription, each message that was told of was made for it", async () => {
  const aiAgentAddress = "guest@corp.example";
  let done = false;
  const coming = (async () => {
    while (!done) {
      await service.post("/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });
      await subscribe("alert.*", { aiAgentAddress });
      await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    }
  })();
  let messages = 0;
  const publisher = async () => {
    for (let n = 0; n < 40; n++) {
      const { status, body } = await publish({ type: "alert.fire" });
      expect(status).toBe(202);
      messages += body.messages;
    }
  };
  await Promise.all([publisher(), publisher()]);
  done = true;
  await coming;
  const [{ count }] = (await service.sql("select count(*)::int from cams.message_archive")) as [{ count: number }];
  expect(count).toBe(messages);
});

test("a pattern with wildcards in each place finds its events, and no others", async () => {
  const inboxes = new Map<string, string>();
  for (const pattern of [
    "a.b.c",
    "*.b.c",
    "a.*.c",
    "a.b.*",
    "*.*.*",
    "a.#",
    "a.b.c.#",
    "#",
    "*.#",
    "a.*",
    "a.b.c.*",
    NEVER,
  ]) {
    const { aiAgentAddress } = await make.inbox();
    inboxes.set(pattern, aiAgentAddress);
    await subscribe(pattern, { aiAgentAddress });
  }
  expect((await publish({ type: "a.b.c" })).body).toMatchObject({ messages: 9 });
  const got: string[] = [];
  for (const [pattern, address] of inboxes) if ((await pull(address)).length > 0) got.push(pattern);
  expect(got).toEqual(["a.b.c", "*.b.c", "a.*.c", "a.b.*", "*.*.*", "a.#", "a.b.c.#", "#", "*.#"]);
});

test("a traceparent that is none keeps nothing from a webhook", async () => {
  const { webhook, deliver } = callsFor(service);
  const { url, received } = await startReceiver();
  const { aiAgentAddress } = await webhook(url);
  await subscribe("order.placed", { aiAgentAddress });
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const [n, traceparent] of ["\u6f22\u5b57", "nonsense", trace].entries())
    await service.post(
      "/v1/events",
      { specversion: "1.0", id: `${n}`, source: "/shop", type: "order.placed", traceparent },
      { "content-type": "application/cloudevents+json" },
    );
  expect(await deliver()).toEqual({ delivered: 3, failed: 0, deadLettered: 0 });
  expect(received.map(({ headers }) => headers.traceparent)).toEqual(expect.arrayContaining([trace]));
  expect(received.map(({ headers }) => headers.traceparent)).not.toContain("nonsense");
});

test.each([
  [{ source: "no uri <>" }, "/source"],
  [{ subject: "a\u0085b" }, "/subject"],
])("said plainly, %j is refused as in a CloudEvent, which it becomes", async (fields, pointer) => {
  const { status, body } = await publish({ type: NEVER, ...fields });
  expect([status, body.errors?.[0]?.pointer]).toEqual([400, pointer]);
});

test("in a batch of many types each event gets to those whose pattern fits it, as it would alone", async () => {
  const patterns = ["#", "a", "a.#", "a.*", "*.b", "a.b.#", "a.*.c", "*.*.*", "b.#", "a.b.c.d.e.f.g.h.#"];
  for (const pattern of patterns) await subscribe(pattern, { aiAgentAddress: (await make.inbox()).aiAgentAddress });
  const types = ["a", "a.b", "a.b.c", "b", "a", "b.b.b", "c.c.c.c", "a.b.c.d.e.f.g.h.i.j"];
  const alone = [];
  for (const type of types) alone.push((await service.post("/v1/subscriptions/match", { type })).body.matched.length);
  expect(alone).toEqual([3, 5, 5, 2, 3, 3, 1, 4]);
  const batch = types.map((type, n) => ({ specversion: "1.0", id: `${n}`, source: "/batch", type }));
  const { body } = await publish(batch, { "content-type": "application/cloudevents-batch+json" });
  expect(body.events.map(({ messages }: { messages: number }) => messages)).toEqual(alone);
});
