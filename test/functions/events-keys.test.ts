import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

type Fields = Record<string, unknown>;

const service = useService();
const make = makerFor(service);
const { failedStatements } = callsFor(service);

const cloudEvent = (id: string, fields: Fields = {}) => ({
  specversion: "1.0",
  source: "/shops/north",
  type: "order.paid",
  id,
  data: { total: 7 },
  ...fields,
});
const send = (type: string, body: unknown) =>
  service.raw("POST", "/v1/events", JSON.stringify(body), { "content-type": `application/cloudevents${type}+json` });
const publish = (id: string, fields: Fields = {}) => send("", cloudEvent(id, fields));
const batch = (ids: readonly string[]) =>
  send(
    "-batch",
    ids.map((id) => cloudEvent(id)),
  );
const logged = async (): Promise<string[]> =>
  (await service.sql<{ id: string }>("select id from cams.events where type = 'order.paid' order by seq")).map(
    ({ id }) => id,
  );
const messages = async () => (await service.sql("select from cams.messages")).length;

describe("what has the same source and id", () => {
  test("at once in eight requests is one event with its message once, and one answer but for what repeats it", async () => {
    await make.subscription();
    const answers = await atOnce(8, () => publish("4711"));
    const [{ eventId }] = answers.map(({ body }) => body) as [{ eventId: string }];
    for (const { status, body } of answers)
      expect([status, body]).toEqual([202, { eventId, messages: 1, tasks: 0, unhandled: false }]);
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true")).toHaveLength(7);
    expect([await logged(), await messages()]).toEqual([["4711"], 1]);
  });

  test("of another source is another event", async () => {
    await publish("4711");
    expect((await publish("4711", { source: "/shops/south" })).headers.get("idempotent-replayed")).toBeNull();
    expect(await logged()).toEqual(["4711", "4711"]);
  });

  test.each([
    ["data", { data: { total: 8 } }],
    ["type", { type: "order.placed" }],
    ["an attribute", { subject: "order/7" }],
    ["an extension", { tenant: "x" }],
  ])("and other content (%s) is refused", async (_, fields) => {
    await publish("4711");
    expect(await publish("4711", fields)).toMatchObject({ status: 409, body: { code: "event_id_reused" } });
    expect(await service.sql("select from cams.events where source = '/shops/north'")).toHaveLength(1);
  });

  test("in one batch is one event; a batch with one of other content is published in no part", async () => {
    const { body } = await batch(["a", "b", "a"]);
    expect(body.events.map(({ eventId }: { eventId: string }) => eventId)).toHaveLength(3);
    expect(body.events[2]).toEqual(body.events[0]);
    const refused = await send("-batch", [cloudEvent("c"), cloudEvent("b", { data: 8 }), cloudEvent("d")]);
    expect(refused).toMatchObject({ status: 409, body: { code: "event_id_reused" } });
    expect(await logged()).toEqual(["a", "b"]);
  });

  test("in batches that overlap, at once and in all orders, is published once each, without a deadlock", async () => {
    await make.subscription();
    const ids = Array.from({ length: 20 }, (_, n) => `event.${n}`);
    for (let round = 0; round < 5; round++) {
      const mine = ids.map((id) => `${id}.${round}`);
      const answers = await atOnce(8, (n) => batch(n % 2 ? mine : mine.toReversed()));
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(202));
    }
    expect((await logged()).length).toBe(100);
    expect(await messages()).toBe(100);
    expect(await failedStatements()).toEqual([]);
  });

  test("is known for 14 days, and new afterwards", async () => {
    const { body } = await publish("4711");
    const [key] = await service.sql<{ days: number }>(
      "select extract(epoch from kept_until - now()) / 86400 as days from cams.event_keys",
    );
    expect(Number(key?.days)).toBeCloseTo(14, 2);
    await service.sql("update cams.event_keys set kept_until = now()");
    const again = await publish("4711", { data: { total: 8 } });
    expect(again.status).toBe(202);
    expect(again.body.eventId).not.toBe(body.eventId);
    expect((await publish("4711", { data: { total: 8 } })).body.eventId).toBe(again.body.eventId);
  });
});
