import { CloudEvent, type CloudEventV1, emitterFor, HTTP, Mode } from "cloudevents";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BATCH, type EventAnswer, useEvents } from "./events.ts";

const post = useEvents().server;

/** As the specification has it for values of headers, which the SDK leaves to whoever sends them. */
const percentEncoded = (text: string) =>
  [...text].map((char) => (/[!#$&-~]/.test(char) ? char : encodeURIComponent(char))).join("");

const sendAs = (mode: Mode, encode = percentEncoded) =>
  emitterFor(
    ({ headers, body }) => {
      const encoded = Object.entries(headers).map(([name, value]) => [
        name,
        name.startsWith("ce-") ? encode(String(value)) : String(value),
      ]);
      return post(Object.fromEntries(encoded), body as string | Uint8Array | undefined);
    },
    { mode },
  ) as (event: CloudEventV1<unknown>) => Promise<EventAnswer>;

/** What an event of theirs is to us; in headers every value is text, and the SDK names a type even of no data. */
function oursOf(event: CloudEventV1<unknown>, mode: Mode): Record<string, unknown> {
  const { data, ...rest } = JSON.parse(JSON.stringify(event)) as Record<string, unknown>;
  const known = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data_base64",
  ];
  const isKnown = ([name]: [string, unknown]) => known.includes(name);
  const entries = Object.entries(rest);
  const told = (value: unknown) => (mode === Mode.BINARY ? String(value) : value);
  return {
    ...(mode === Mode.BINARY && { datacontenttype: "application/json; charset=utf-8" }),
    ...Object.fromEntries(entries.filter(isKnown)),
    ...(data !== undefined && { data }),
    extensions: Object.fromEntries(
      entries.filter((entry) => !isKnown(entry)).map(([name, value]) => [name, told(value)]),
    ),
  };
}

const MODES = [Mode.STRUCTURED, Mode.BINARY] as const;
const base = { id: "1", source: "/orders", type: "order.created", time: "2026-11-21T10:00:00.250Z" };

describe.each(MODES)("the SDK's events in %s mode", (mode) => {
  test.each<[string, Partial<CloudEventV1<unknown>>]>([
    ["without data", {}],
    ["with JSON", { data: { ключ: ["€", null, 1.5, { '"': "\\" }] } }],
    ["with a type of JSON of its own", { datacontenttype: "application/vnd.order+json", data: [1, 2] }],
    ["with text", { datacontenttype: "text/plain; charset=utf-8", data: "100 % “ärgerlich”\r\n\t😀" }],
    ["with bytes", { datacontenttype: "application/octet-stream", data: new Uint8Array([0, 1, 254, 255]) }],
    ["with unicode, percent signs and quotes", { subject: '100%25 of "ö" — 50 % \\ 😀', id: "%", tenant: 'a"b%c' }],
    ["with extensions", { count: -7, urgent: true, comexampleanextensionoflength: "x", traceparent: "00-0af7-b7-01" }],
    ["with a schema", { dataschema: "https://corp.example/schema.json#v1", data: {} }],
  ])("are read as they were written: %s", async (_, more) => {
    const event = new CloudEvent({ ...base, ...more });
    const { status, body } = await sendAs(mode)(event);
    expect(status, JSON.stringify(body)).toBe(201);
    expect(body).toMatchObject({ mode });
    expect(body.events).toEqual([oursOf(event, mode)]);
  });
});

test("the SDK's headers are read as they are where nothing in them asks for encoding", async () => {
  const event = new CloudEvent({ ...base, subject: 'a "quoted" word, and \\ more', tenant: "corp;x=1, y" });
  const { body } = await sendAs(Mode.BINARY, (value) => value)(event);
  expect(body.events).toEqual([oursOf(event, Mode.BINARY)]);
});

test("the SDK's headers are refused where a percent sign in them is none of an encoding", async () => {
  const event = new CloudEvent({ ...base, subject: "100 %" });
  const { status, body } = await sendAs(Mode.BINARY, (value) => value)(event);
  expect(status).toBe(400);
  expect(body.errors).toEqual([{ pointer: "/ce-subject", message: "is not percent-encoded UTF-8" }]);
});

test("the SDK's events are read from a batch in their order", async () => {
  const events = ["a", "b", "c"].map((id) => new CloudEvent({ ...base, id, data: { id } }));
  const { body } = await post(BATCH, JSON.stringify(events));
  expect(body).toMatchObject({ mode: "batch", events: events.map((event) => oursOf(event, Mode.STRUCTURED)) });
});

const string = (minLength: number) =>
  fc
    .string({ unit: "binary", minLength, maxLength: 60 })
    .filter((text) => /^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]*$/u.test(text));
// Nor `constructor` and its like, which the SDK looks up in an object with a prototype.
const name = fc
  .stringMatching(/^[a-z0-9]{1,20}$/)
  .filter((text) => !["id", "type", "time", "data", "source", "subject", "priority", "schemaurl"].includes(text))
  .filter((text) => !(text in {}));
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const content = fc.oneof(
  fc.constant({}),
  fc.record({ data: fc.oneof(fc.dictionary(string(0), fc.jsonValue()), fc.array(fc.jsonValue()), fc.constant(null)) }),
  fc.record({ datacontenttype: fc.constantFrom("text/plain", "text/csv; header=present"), data: string(1) }),
  fc.record({
    datacontenttype: fc.constantFrom("application/octet-stream", "image/png"),
    data: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  }),
);
const events = fc
  .tuple(
    fc.dictionary(name, fc.oneof(string(0), fc.integer(), fc.boolean()), { maxKeys: 6 }),
    fc.record({
      id: string(1),
      type: fc.stringMatching(/^[a-z0-9_-]{1,9}(\.[A-Z€-]{1,9}){0,3}$/),
      source: fc.oneof(
        fc.webUrl({ withQueryParameters: true, withFragments: true }),
        fc.constantFrom("/a", "urn:x:1", "a;b@c"),
      ),
      subject: optional(string(1)),
      time: fc
        .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
        .map((time) => time.toISOString()),
      dataschema: optional(fc.webUrl()),
    }),
    content,
  )
  .map(([extensions, attributes, data]) => new CloudEvent({ ...extensions, ...attributes, ...data } as never, false));

test("whatever the SDK writes is read as the same event, in both modes", async () => {
  await fc.assert(
    fc.asyncProperty(events, async (event) => {
      for (const mode of MODES) {
        const { status, body } = await sendAs(mode)(event);
        expect(status, JSON.stringify(body)).toBe(201);
        expect(body.events).toEqual([oursOf(event, mode)]);
      }
    }),
    { numRuns: 200 },
  );
});

test("the SDK reads from our reading of its event what it had written", async () => {
  const event = new CloudEvent({ ...base, subject: "ö", tenant: "x", data: { a: 1 } });
  const { body } = await sendAs(Mode.BINARY)(event);
  const { extensions, ...attributes } = body.events[0];
  const headers = { "content-type": "application/cloudevents+json" };
  const again = HTTP.toEvent({
    headers,
    body: JSON.stringify({ ...attributes, ...extensions }),
  }) as CloudEvent<unknown>;
  expect({ ...again }).toEqual({ ...event, datacontenttype: "application/json; charset=utf-8" });
});
