import { describe, expect, test } from "vitest";
import { BATCH, ce, type EventAnswer, JSON_TYPE, required, STRUCTURED, useEvents } from "./events.ts";

const post = useEvents().server;
const pointersOf = ({ body }: EventAnswer): string[] | undefined =>
  body.errors?.map(({ pointer }: { pointer: string }) => pointer);
const KIB = 1024;

describe("all faults at once, each where it stands", () => {
  const wrong = {
    specversion: "0.3",
    id: "",
    type: "a..b",
    source: "a b",
    time: "yesterday",
    subject: "",
    Tenant: "x",
  };
  const names = ["specversion", "id", "source", "type", "subject", "time", "Tenant"];

  test("in an event", async () => {
    const answer = await post(STRUCTURED, JSON.stringify({ ...wrong, list: [1], data: 1, data_base64: "AA==" }));
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(pointersOf(answer)?.toSorted()).toEqual(
      [...names, "list", "data_base64"].map((name) => `/${name}`).toSorted(),
    );
  });

  test("in a batch", async () => {
    const answer = await post(
      BATCH,
      JSON.stringify([required, wrong, 7, { ...required, a: {} }, { ...required, a_b: 1 }]),
    );
    expect(pointersOf(answer)?.toSorted()).toEqual(
      [...names.map((name) => `/1/${name}`), "/2", "/3/a", "/4/a_b"].toSorted(),
    );
  });

  test("in headers", async () => {
    const { Tenant, ...rest } = wrong;
    const more = { ten_ant: "x", region: ["a", "b"], data: "{}", datacontenttype: "text/plain", percent: "%" };
    const answer = await post({ ...ce({ ...rest, ...more }), "content-type": "nonsense" }, "x");
    const headers = [...Object.keys(rest), ...Object.keys(more)].map((name) => `/ce-${name}`);
    expect(pointersOf(answer)?.toSorted()).toEqual([...headers, "/content-type"].toSorted());
  });

  test("of what is not there", async () => {
    const mandatory = ["/id", "/source", "/specversion", "/type"];
    expect(pointersOf(await post(STRUCTURED))?.toSorted()).toEqual(mandatory);
    expect(pointersOf(await post({ "ce-x": "y" }))?.toSorted()).toEqual(
      mandatory.map((name) => `/ce-${name.slice(1)}`),
    );
    expect(pointersOf(await post({}))).toEqual(["/type"]);
    expect(pointersOf(await post(BATCH))).toEqual([""]);
  });
});

/** Longest values and the like: taken; one more: refused. */
describe("an attribute", () => {
  const times = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, i]));

  test.each<[string, Record<string, unknown>]>([
    ["id", { id: "😀".repeat(127) }],
    ["source", { source: `/${"a".repeat(1023)}` }],
    ["source that is relative", { source: "1-555-123-4567" }],
    ["source with a literal address", { source: "coap://[2001:db8::1]:5683/%41?q=1#x" }],
    ["source that is a name", { source: "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66" }],
    ["type", { type: `com.Größe.v-2_${"a".repeat(241)}` }],
    ["subject", { subject: "s".repeat(1024) }],
    ["dataschema", { dataschema: `https://a/${"a".repeat(2038)}` }],
    ["datacontenttype", { datacontenttype: "application/vnd.a+xml; charset=utf-8" }],
    ["data_base64", { data_base64: "AP8=" }],
    ["extension", { ["x".repeat(40)]: "v".repeat(1024), empty: "", least: -2147483648, no: false }],
    ["number of extensions", times(30)],
    ["extension of a strange name", { constructor: "x", extensions: "y", mode: "z", 0: "zero" }],
  ])("is taken: %s", async (_, attributes) => {
    const { status, body } = await post(STRUCTURED, JSON.stringify({ ...required, ...attributes }));
    expect(status, JSON.stringify(body)).toBe(201);
    const [{ extensions, ...event }] = body.events;
    expect({ ...event, ...extensions }).toEqual({ ...required, ...attributes });
  });

  test.each<[string, Record<string, unknown>]>([
    ["/id", { id: "x".repeat(256) }],
    ["/id", { id: "a\u0000b" }],
    ["/id", { id: "a\u0085b" }],
    ["/id", { id: "\ud800" }],
    ["/id", { id: "\ufdd0" }],
    ["/id", { id: 1 }],
    ["/source", { source: `/${"a".repeat(1024)}` }],
    ["/source", { source: "" }],
    ["/source", { source: "1:2" }],
    ["/source", { source: "/größe" }],
    ["/source", { source: "/a%2" }],
    ["/source", { source: "/a[1]" }],
    ["/source", { source: "#a#b" }],
    ["/specversion", { specversion: 1 }],
    ["/specversion", { specversion: "1.0.2" }],
    ["/type", { type: "a".repeat(256) }],
    ["/type", { type: "" }],
    ["/type", { type: "a.*" }],
    ["/type", { type: "a.#" }],
    ["/type", { type: "a b" }],
    ["/type", { type: ".a" }],
    ["/type", { type: "a." }],
    ["/subject", { subject: "s".repeat(1025) }],
    ["/time", { time: "2026-11-21" }],
    ["/time", { time: "2026-02-30T00:00:00Z" }],
    ["/time", { time: 0 }],
    ["/dataschema", { dataschema: "/relative" }],
    ["/dataschema", { dataschema: `https://a/${"a".repeat(2039)}` }],
    ["/datacontenttype", { datacontenttype: "json" }],
    ["/data_base64", { data_base64: "AP8" }],
    ["/data_base64", { data_base64: {} }],
    ["/data_base64", { data_base64: "", data: null }],
    [`/${"x".repeat(41)}`, { ["x".repeat(41)]: 1 }],
    ["/x", { x: "v".repeat(1025) }],
    ["/x", { x: "a\nb" }],
    ["/x", { x: 2147483648 }],
    ["/x", { x: 0.5 }],
    ["/x", { x: [] }],
    ["/X", { X: 1 }],
    ["/", { "": 1 }],
    ["/a~1b", { "a/b": 1 }],
    ["", times(31)],
    ["/priority", { priority: "URGENT" }],
    ["/priority", { priority: 1 }],
  ])("is refused: %s of %j", async (pointer, attributes) => {
    const answer = await post(STRUCTURED, JSON.stringify({ ...required, ...attributes }));
    expect(answer.status).toBe(400);
    expect(pointersOf(answer)).toEqual([pointer]);
  });

  test("is refused when its name is __proto__", async () => {
    const text = JSON.stringify(required).replace("{", '{"__proto__":{"priority":"HIGH"},');
    expect(pointersOf(await post(STRUCTURED, text))).toEqual(["/__proto__"]);
    expect(pointersOf(await post(ce({ ...required, ["__proto__" as string]: "x" })))).toEqual(["/ce-__proto__"]);
  });

  test("that is null is not set, but data that is null is data", async () => {
    const { body } = await post(
      STRUCTURED,
      JSON.stringify({ ...required, subject: null, tenant: null, data_base64: null, data: null }),
    );
    expect(body.events).toEqual([{ ...required, data: null, extensions: {} }]);
  });

  test.each([
    ["2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00:00.123456789+05:30", "2026-11-21T04:30:00.123Z"],
    ["2026-11-21T00:00:00.5-01:00", "2026-11-21T01:00:00.500Z"],
  ])("of time is passed on in UTC with milliseconds: %s", async (time, read) => {
    for (const answer of [
      await post(STRUCTURED, JSON.stringify({ ...required, time })),
      await post(ce({ ...required, time })),
    ])
      expect(answer.body.events).toMatchObject([{ time: read }]);
  });

  test.each(["CRITICAL", "High", "normal", "lOW"])("priority %s is the event's own", async (priority) => {
    for (const answer of [
      await post(STRUCTURED, JSON.stringify({ ...required, priority })),
      await post(ce({ ...required, priority })),
    ])
      expect(answer.body.events).toEqual([{ ...required, priority: priority.toUpperCase(), extensions: {} }]);
  });
});

describe("sizes", () => {
  /** An event of so many bytes as JSON. */
  const sized = (bytes: number) => {
    const event = { ...required, data: "" };
    return { ...event, data: "x".repeat(bytes - JSON.stringify(event).length) };
  };
  const tooLarge = { status: 413, body: { code: "body_too_large" } };

  test("256 KiB as JSON in each way, and 413 to a byte more", async () => {
    const [event, larger] = [sized(256 * KIB), sized(256 * KIB + 1)];
    expect((await post(STRUCTURED, JSON.stringify(event, null, 2))).status).toBe(201);
    expect(await post(STRUCTURED, JSON.stringify(larger))).toMatchObject(tooLarge);
    expect((await post(BATCH, JSON.stringify([event, event, event]))).status).toBe(201);
    const batch = await post(BATCH, JSON.stringify([event, larger]));
    expect(batch).toMatchObject(tooLarge);
    expect(pointersOf(batch)).toEqual(["/1"]);
    const plain = { type: "a", payload: { text: "" } };
    const room = 256 * KIB - JSON.stringify(plain).length;
    expect((await post(JSON_TYPE, JSON.stringify({ ...plain, payload: { text: "x".repeat(room) } }))).status).toBe(201);
    expect(await post(JSON_TYPE, JSON.stringify({ ...plain, payload: { text: "x".repeat(room + 1) } }))).toMatchObject(
      tooLarge,
    );
  });

  test("bytes count as the base64 that they become", async () => {
    const headers = { ...ce(required), "content-type": "application/octet-stream" };
    expect((await post(headers, new Uint8Array(190 * KIB))).status).toBe(201);
    expect(await post(headers, new Uint8Array(193 * KIB))).toMatchObject(tooLarge);
  });

  test("1 to 100 events in a batch", async () => {
    const batch = (count: number) => post(BATCH, JSON.stringify(Array(count).fill(required)));
    expect((await batch(100)).body.events).toHaveLength(100);
    for (const count of [0, 101]) {
      const answer = await batch(count);
      expect(answer.status).toBe(400);
      expect(pointersOf(answer)).toEqual([""]);
    }
    expect(pointersOf(await post(BATCH, `[${"{},".repeat(300_000)}{}]`))).toEqual([""]);
    expect(pointersOf(await post(BATCH, JSON.stringify(required)))).toEqual([""]);
  });
});
