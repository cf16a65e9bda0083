import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesPattern } from "../../shared/rules/event-patterns.ts";
import { EventType, EventTypePattern } from "../../shared/schemas/event.ts";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { allPages } from "./calls.ts";

type Fields = Record<string, unknown>;

const service = useService();
const make = makerFor(service);

const publish = async (fields: Fields = {}): Promise<string> => (await make.event(fields)).eventId;
const listed = async (query: Record<string, string>): Promise<{ eventId: string; event: { type: string } }[]> =>
  allPages(service, `/v1/events?${new URLSearchParams(query)}`);
const idsOf = async (query: Record<string, string>) => (await listed(query)).map(({ eventId }) => eventId);

test("newest first, page by page, each once, while more are published", async () => {
  await make.subscription({ eventType: "#" });
  const made: string[] = [];
  for (let n = 0; n < 7; n++) made.unshift(await publish({ payload: { n } }));
  const pages = await allPages(service, "/v1/events?pageSize=2", () => publish());
  expect(pages.map(({ eventId }) => eventId)).toEqual(made);
  expect(pages.map(({ event }) => event.data.n)).toEqual([6, 5, 4, 3, 2, 1, 0]);
});

test("each filter by itself, and all together", async () => {
  await make.subscription({ eventType: "order.*" });
  const north = await publish({ source: "/shops/north", subject: "order 7" });
  const south = await publish({ source: "/shops/south", subject: "order 7", type: "order.paid" });
  const nobody = await publish({ source: "/shops/north", subject: "order 8", type: "invoice.sent" });
  expect(await idsOf({ source: "/shops/north" })).toEqual([nobody, north]);
  expect(await idsOf({ source: "/shops" })).toEqual([]);
  expect(await idsOf({ subject: "order 7" })).toEqual([south, north]);
  expect(await idsOf({ type: "order.paid" })).toEqual([south]);
  const told = await listed({ unhandled: "false" });
  expect(told.map(({ event }) => event.type).toSorted()).toEqual(["event.unhandled", "order.paid", "order.placed"]);
  expect(await idsOf({ unhandled: "true" })).toEqual([nobody]);
  expect(await idsOf({ subject: nobody, type: "event.*" })).toHaveLength(1);
  const all = { type: "order.#", source: "/shops/north", subject: "order 7", unhandled: "false", pageSize: "1" };
  expect(await idsOf(all)).toEqual([north]);
  expect(await idsOf({ ...all, unhandled: "true" })).toEqual([]);
});

test("after is from a time on, before is up to it", async () => {
  await make.subscription({ eventType: "#" });
  const [first, second, third] = [await publish(), await publish(), await publish()];
  for (const [eventId, minute] of [
    [first, 0],
    [second, 1],
    [third, 2],
  ])
    await service.sql("update cams.events set published_at = $2 where event_id = $1", [
      eventId,
      `2026-11-21T10:0${minute}:00Z`,
    ]);
  const time = "2026-11-21T11:01:00+01:00";
  expect(await idsOf({ after: time })).toEqual([third, second]);
  expect(await idsOf({ before: time })).toEqual([first]);
  expect(await idsOf({ after: "2026-11-21T10:00:00.001Z", before: "2026-11-21T10:01:00.001Z" })).toEqual([second]);
});

test("what an event was published with is shown as a CloudEvent, null data and no data as they were", async () => {
  const { aiAgentAddress } = (await make.subscription({ eventType: "#" })).to;
  const given = { type: "order.placed", payload: null, priority: "HIGH", source: "/shops/north", subject: "order 7" };
  const eventId = await publish(given);
  await service.post("/v1/events", { type: "order.placed" });
  const [bare, whole] = (await service.get("/v1/events")).body.items;
  expect(whole).toEqual({
    ...{ eventId, messages: 1, tasks: 0, unhandled: false, priority: "HIGH" },
    ...{ publishedBy: "local", publishedAt: expect.any(String) },
    event: {
      ...{ specversion: "1.0", id: eventId, eventid: eventId, type: given.type, source: given.source },
      ...{ subject: given.subject, time: expect.any(String), datacontenttype: "application/json" },
      ...{ priority: "HIGH", data: null },
    },
  });
  expect(bare.event).not.toHaveProperty("data");
  expect((await service.get(`/v1/events/${eventId}`)).body).toEqual(whole);
  expect((await make.pull(aiAgentAddress, { maxMessages: 2 }))[0].payload).toEqual(whole.event);
});

const types = [
  "order",
  "order.placed",
  "order.placed.north",
  "orders.placed",
  "invoice.placed",
  "invoice.placed.north",
  "a_b.c%d",
  "axb.cyd",
  "a\\b.(c|d)",
  "a+.[x]{2}^$?",
  "größe.🦉",
];
const patterns = [
  ...types,
  ...["#", "*", "*.*", "*.#", "*.*.#", "order.#", "order.*", "order.*.#", "*.placed", "*.placed.#", "order.*.north"],
  ...[
    "*.*.north",
    "*.*.*",
    "a_b.*",
    "a_b.#",
    "a\\b.*",
    "a+.#",
    "*.c%d",
    "*.(c|d)",
    "größe.*",
    "*.🦉",
    "orde.#",
    "rder.*",
  ],
  ...["*.🦉.#", "a+.[x]{2}^$?.#"],
];

test("of a pattern those whose type it means, whatever characters are in it", async () => {
  await make.subscription({ eventType: "#" });
  for (const type of types) await publish({ type });
  for (const pattern of patterns) {
    const found = (await listed({ type: pattern })).map(({ event }) => event.type);
    expect(found, pattern).toEqual(types.filter((type) => matchesPattern(pattern, type)).toReversed());
  }
});

describe("the patterns that the database names for a type", () => {
  const fits = async (pairs: readonly (readonly [string, string])[]) =>
    (
      await service.sql<{ fits: boolean }>(
        `select pattern = any (cams.event_patterns(type)) as fits
         from unnest($1::text[], $2::text[]) with ordinality given (type, pattern, n) order by n`,
        [pairs.map(([type]) => type), pairs.map(([, pattern]) => pattern)],
      )
    ).map((row) => row.fits);

  const segment = fc.constantFrom("a", "b", "ab", "größe", "🦉", "_", "%", "\\", "(", "$1");
  const type = fc.array(segment, { minLength: 1, maxLength: 11 });
  /** A type, and a pattern that is like it: without likeness none would fit. */
  const pair = fc
    .tuple(
      type,
      fc.array(fc.constantFrom("same", "same", "same", "*", "*", "other"), { minLength: 11, maxLength: 11 }),
      fc.constantFrom(0, 0, 0, 1, -1, -3, -7),
      fc.boolean(),
    )
    .map(([segments, changes, longer, isOpen]) => {
      const like = [...segments, ...(longer > 0 ? ["a"] : [])].slice(0, longer < 0 ? longer : undefined);
      const changed = like.map((one, n) => ({ same: one, "*": "*", other: "c" })[changes[n] as "same"]);
      return [segments.join("."), [...changed, ...(isOpen ? ["#"] : [])].join(".")] as const;
    })
    .filter(([, pattern]) => EventTypePattern.safeParse(pattern).success);

  test("are those that mean it, and no others", async () => {
    const seen = new Map([
      [true, 0],
      [false, 0],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: 100, maxLength: 100 }), async (pairs) => {
        const expected = pairs.map(([type, pattern]) => matchesPattern(pattern, type));
        for (const one of expected) seen.set(one, (seen.get(one) as number) + 1);
        expect(await fits(pairs)).toEqual(expected);
      }),
      { numRuns: 30, seed: 20_261_122 },
    );
    expect(Math.min(...seen.values()), "both kinds are tried").toBeGreaterThan(300);
  });

  test("are 767 at most, for the longest type too, and each only once", async () => {
    const named = async (type: string) => {
      expect(EventType.safeParse(type).success).toBe(true);
      const [row] = await service.sql<{ patterns: string[] }>("select cams.event_patterns($1) as patterns", [type]);
      return row?.patterns ?? [];
    };
    for (const [segments, most] of [
      [1, 5],
      [2, 11],
      [7, 383],
      [8, 767],
      [9, 512],
      [128, 512],
    ] as const) {
      const patterns = await named(Array(segments).fill("a").join("."));
      expect(new Set(patterns).size).toBe(patterns.length);
      expect(patterns.length, `${segments}`).toBe(most);
    }
  });
});
