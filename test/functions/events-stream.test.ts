import { once } from "node:events";
import { request } from "node:http";
import { EventSource } from "eventsource";
import { describe, expect, onTestFinished, test } from "vitest";
import { startService, useService } from "../support/service.ts";
import { startFront } from "../support/tcp-front.ts";
import { follow, publish } from "./followers.ts";

const service = useService();
const PATH = "/v1/events/stream";
const DAY_MS = 24 * 60 * 60 * 1000;

const seen = (follower: { types(): string[] }, types: readonly string[]) =>
  expect.poll(follower.types, { interval: 5, timeout: 20_000 }).toEqual(types);

/** Resolves when no transaction runs that is older than what was published, be it of another test beside this one. */
const settled = () =>
  expect
    .poll(
      () => service.sql("select from cams.events where transaction_id >= pg_snapshot_xmin(pg_current_snapshot())"),
      {
        timeout: 20_000,
      },
    )
    .toEqual([]);

describe("a follower", () => {
  test("gets the head and its place at once, before there is any event", async () => {
    const { answer, blocks } = await follow(service.url);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-request-id": expect.any(String),
    });
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(blocks).toEqual([{ retry: "1000", id: expect.stringMatching(/^\d{13}-\d+-\d+$/) }]);
  });

  test("gets what is published from then on, whole and in order, and nothing from before", async () => {
    await publish(service, ["before"]);
    await settled();
    const follower = await follow(service.url);
    await publish(service, ["one", "two"]);
    await publish(service, ["three"]);
    await seen(follower, ["one", "two", "three"]);
    expect(follower.blocks[1]).toEqual({
      id: expect.stringMatching(/^\d{13}-\d+-\d+$/),
      data: expect.objectContaining({ specversion: "1.0", source: "/test", type: "one", data: { text: "" } }),
    });
  });

  test("goes on behind Last-Event-ID, in the middle of a transaction too, and goes before `after`", async () => {
    const first = await follow(service.url);
    await publish(service, ["one", "two", "three"]);
    await seen(first, ["one", "two", "three"]);
    const [, one] = first.blocks;
    first.destroy();
    await publish(service, ["four"]);
    const after = new Date(Date.now() + DAY_MS).toISOString();
    const second = await follow(service.url, { after }, { "last-event-id": one?.id as string });
    await publish(service, ["five"]);
    await seen(second, ["two", "three", "four", "five"]);
  });

  test("that was cut off before its first event goes on from its first place", async () => {
    const first = await follow(service.url);
    first.destroy();
    await publish(service, ["meanwhile"]);
    const second = await follow(service.url, {}, { "last-event-id": first.lastId() as string });
    await seen(second, ["meanwhile"]);
  });

  test("goes on behind its last place at once, whether or not anything happened", async () => {
    const first = await follow(service.url);
    const second = await follow(service.url, {}, { "last-event-id": first.lastId() as string });
    expect(second.answer.statusCode).toBe(200);
  });

  test("begins after a time", async () => {
    await publish(service, ["old"]);
    await service.sql("update cams.events set published_at = published_at - interval '1 hour'");
    await settled();
    await publish(service, ["new"]);
    const since = (ms: number) => follow(service.url, { after: new Date(Date.now() - ms).toISOString() });
    await seen(await since(60_000), ["new"]);
    await seen(await since(2 * 60 * 60 * 1000), ["old", "new"]);
    await seen(await since(400 * DAY_MS), ["old", "new"]);
    const later = await since(-DAY_MS);
    await publish(service, ["newest"]);
    await seen(later, ["newest"]);
  });

  test("gets the types that fit its pattern alone", async () => {
    const follower = await follow(service.url, { type: "alert.*" });
    await publish(service, ["alert.high", "alert", "other.high", "alert.high.now", "alert.low"]);
    await seen(follower, ["alert.high", "alert.low"]);
  });

  test("reads thousands that it missed, and then what comes, each once", async () => {
    const types = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}.${n}`);
    const first = await follow(service.url);
    await publish(service, types("missed", 2500));
    // What the process keeps of them begins far behind the place where the next one goes on.
    await seen(first, types("missed", 2500));
    const follower = await follow(service.url, {}, { "last-event-id": first.blocks[0]?.id as string });
    await publish(service, types("live", 10));
    await seen(follower, [...types("missed", 2500), ...types("live", 10)]);
  });
});

test("an EventSource that is cut off connects again by itself and misses nothing", async () => {
  const front = await startFront(Number(new URL(service.url).port));
  onTestFinished(front.close);
  const asked: (string | null)[] = [];
  const source = new EventSource(`http://127.0.0.1:${front.port}${PATH}?type=alert.%23`, {
    fetch: (url, init) => {
      asked.push(new Headers(init.headers).get("last-event-id"));
      return fetch(url, init as RequestInit);
    },
  });
  onTestFinished(() => source.close());
  const messages: { type: string; lastEventId: string }[] = [];
  source.onmessage = ({ data, lastEventId }) => messages.push({ type: JSON.parse(data).type, lastEventId });
  const seen = (...types: string[]) =>
    expect.poll(() => messages.map(({ type }) => type), { interval: 5, timeout: 20_000 }).toEqual(types);
  await new Promise((resolve) => (source.onopen = resolve));
  await publish(service, ["alert.one", "other"]);
  await seen("alert.one");
  front.cut();
  await expect.poll(() => source.readyState, { interval: 5 }).toBe(EventSource.CONNECTING);
  await publish(service, ["alert.two", "alert.three"]);
  await seen("alert.one", "alert.two", "alert.three");
  expect(asked).toEqual([null, messages[0]?.lastEventId]);
});

test("what is published by a call is there at once, as it was published, in every process", async () => {
  const other = await startService({}, { url: service.databaseUrl, drop: async () => {} });
  onTestFinished(other.close);
  const followers = [await follow(service.url), await follow(other.url)];
  const { body } = await service.post("/v1/events", { type: "alert.fire", payload: { floor: 3 }, priority: "HIGH" });
  for (const follower of followers) {
    await seen(follower, ["alert.fire", "event.unhandled"]);
    const { event } = (await service.get(`/v1/events/${body.eventId}`)).body;
    expect(follower.blocks[1]?.data).toEqual(event);
  }
});

describe("refused", () => {
  test.each(["", "1-2", "1-2-3-4", "a-b-c", "1-02-3", "-1-2-3", "1-18446744073709551616-0", "9".repeat(40)])(
    "400 when Last-Event-ID is %j and no place in a log, unless it is empty",
    async (id) => {
      const { answer } = await follow(service.url, {}, { "last-event-id": id });
      expect(answer.statusCode).toBe(id === "" ? 200 : 400);
    },
  );

  test("410 behind events that are no longer kept, and in the log of another database", async () => {
    const at = (ms: number, transaction: string) =>
      service.get(PATH, { "last-event-id": `${Date.now() - ms}-${transaction}-1` });
    expect((await at(29 * DAY_MS, "5")).status).toBe(200);
    expect(await at(31 * DAY_MS, "5")).toMatchObject({ status: 410, body: { code: "position_expired" } });
    expect(await at(0, "18446744073709551615")).toMatchObject({ status: 410, body: { code: "position_expired" } });
  });

  test("400 for what is no pattern, no time or no parameter, all at once", async () => {
    const { status, body } = await service.get(`${PATH}?type=a..b&after=now&wait=1`);
    expect(status).toBe(400);
    const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers.toSorted()).toEqual(["/after", "/type", "/wait"]);
  });

  test("405 with what it takes", async () => {
    const answer = await service.raw("POST", PATH, "{}", { "content-type": "application/json" });
    expect(answer).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
    expect(answer.headers.get("allow")).toContain("GET, HEAD");
  });
});

test("HEAD is answered with the head alone, and nothing waits", async () => {
  const asked = request(service.url + PATH, { method: "HEAD", agent: false }).end();
  const [head] = await once(asked, "response");
  await once(head.resume(), "end");
  expect(head).toMatchObject({ statusCode: 200, headers: { "content-type": "text/event-stream" } });
  expect((await service.get("/metrics")).body).toMatch(/^cams_waiting_requests 0$/m);
});
