import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openapiOf } from "../../../shared/http/openapi.ts";
import { headersOf, wrongBodies } from "../../contract/forms.ts";
import { BATCH, ce, echo, JSON_TYPE, required, STRUCTURED, useEvents } from "./events.ts";

const { server: post, framework } = useEvents();

describe.each(Object.entries({ server: post, framework }))("by the %s", (_, send) => {
  test("each way to send it is told from the others", async () => {
    const event = { ...required, data: { a: 1 } };
    const read = { ...event, extensions: {} };
    expect((await send(STRUCTURED, JSON.stringify(event))).body).toMatchObject({ mode: "structured", events: [read] });
    expect((await send(BATCH, JSON.stringify([event]))).body).toMatchObject({ mode: "batch", events: [read] });
    const binary = await send({ ...ce(required), ...JSON_TYPE }, '{"a":1}');
    expect(binary.body).toMatchObject({ mode: "binary", events: [{ ...read, datacontenttype: "application/json" }] });
    const plain = { type: "order.created", payload: { a: 1 }, priority: "HIGH", subject: "7", source: "/orders" };
    const { payload, ...rest } = plain;
    expect((await send(JSON_TYPE, JSON.stringify(plain))).body).toMatchObject({
      mode: "plain",
      events: [{ ...rest, data: payload }],
    });
  });

  test.each<[string, string | undefined, string | Uint8Array | undefined, object]>([
    ["JSON", "application/json; charset=utf-8", '{"x":"ö"}', { data: { x: "ö" } }],
    ["a type of JSON", "Application/Vnd.Order+JSON;v=1", "[1]", { data: [1] }],
    ["text", "text/plain", "grün", { data: "grün" }],
    ["text that says so", 'text/csv; header=present; charset="UTF-8"', "a,b", { data: "a,b" }],
    ["text of another charset", "text/plain; charset=iso-8859-1", "abc", { data_base64: "YWJj" }],
    ["text that is not UTF-8", "text/plain", Uint8Array.of(0xfc), { data_base64: "/A==" }],
    ["bytes", "application/octet-stream", Uint8Array.of(0, 255), { data_base64: "AP8=" }],
    ["a form", "application/x-www-form-urlencoded", "a=1&b=2", { data_base64: "YT0xJmI9Mg==" }],
    ["none", undefined, undefined, {}],
    ["none of a type", "application/xml", undefined, {}],
  ])("binary data: %s", async (_, type, body, expected) => {
    const answer = await send({ ...ce(required), ...(type && { "content-type": type }) }, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    const [{ extensions: _none, ...event }] = answer.body.events;
    const told = type ? { datacontenttype: type } : {};
    expect(event).toEqual({ ...required, ...told, ...expected });
  });

  test("numbers keep digits that no double has", async () => {
    const data = '"data":[9007199254740993]';
    expect((await send({ ...ce(required), ...JSON_TYPE }, "[9007199254740993]")).text).toContain(data);
    expect((await send(STRUCTURED, JSON.stringify(required).replace("}", `,${data}}`))).text).toContain(data);
  });

  test("binary data without a type is JSON", async () => {
    expect((await send(ce(required), "{}")).body.events).toMatchObject([
      { datacontenttype: "application/json", data: {} },
    ]);
    expect(await send(ce(required), "<a/>")).toMatchObject({ status: 400, body: { code: "malformed_json" } });
  });
});

// The framework's own parser of JSON takes objects and lists alone.
test.each(['"x"', "null", "7"])("binary data: JSON that is %s", async (json) => {
  const { body } = await post({ ...ce(required), ...JSON_TYPE }, json);
  expect(body.events).toMatchObject([{ data: JSON.parse(json) }]);
});

test.each<[string, string, string]>([
  ["as it is", "a b;c=d, \\ ' $ {}", "a b;c=d, \\ ' $ {}"],
  ["percent-encoded", "Euro%20%E2%82%AC%20%f0%9f%98%80", "Euro € 😀"],
  ["percent-encoded without need, and once only", "%41%2541", "A%41"],
  ["quoted", '"a \\"b\\" \\\\ c"', 'a "b" \\ c'],
  ["quoted and percent-encoded", '"%22\\%41"', '"A'],
  ["with quotes inside", 'say "hi"', 'say "hi"'],
  ["between quotes that are not one pair", '"a" or "b"', '"a" or "b"'],
  ["in UTF-8 as it is", Buffer.from("grün €").toString("latin1"), "grün €"],
])("a header's value is taken %s", async (_, sent, read) => {
  const { status, body } = await post(ce({ ...required, subject: sent, tenant: sent }));
  expect(status, JSON.stringify(body)).toBe(201);
  expect(body.events).toMatchObject([{ subject: read, extensions: { tenant: read } }]);
});

test.each(["%", "%4", "%zz", "%C0%A0", "%ED%A0%80", "%FF", "\u00fc", "%E2\u0082"])(
  "400 naming the header to one that is no UTF-8: %j",
  async (sent) => {
    const answer = await post(ce({ ...required, tenant: sent }));
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toContainEqual({ pointer: "/ce-tenant", message: "is not percent-encoded UTF-8" });
  },
);

test("headers in any case, and attributes of structured mode whatever headers say", async () => {
  const { body } = await post({
    "CE-SpecVersion": "1.0",
    "Ce-Id": "1",
    "cE-sourcE": "/a",
    "CE-TYPE": "a",
    "CE-Tenant": "X",
  });
  expect(body).toMatchObject({ mode: "binary", events: [{ source: "/a", extensions: { tenant: "X" } }] });
  const other = await post({ ...STRUCTURED, ...ce({ id: "other", tenant: "x" }) }, JSON.stringify(required));
  expect(other.body).toMatchObject({ mode: "structured", events: [{ id: "1", extensions: {} }] });
});

test.each([
  ["another format", { "content-type": "application/cloudevents+avro", ...ce(required) }],
  ["another format of a batch", { "content-type": "application/cloudevents-batch+cbor" }],
  ["a format that is not named", { "content-type": "application/cloudevents" }],
  ["another charset", { "content-type": "application/cloudevents+json; charset=latin1" }],
  ["a type without the headers", { "content-type": "text/plain" }],
])("415 naming what is taken to %s", async (_, headers) => {
  const { status, body } = await post(headers, JSON.stringify(required));
  expect({ status, ...body }).toMatchObject({
    status: 415,
    code: "unsupported_media_type",
    detail:
      "Send the body with Content-Type: application/cloudevents+json, application/cloudevents-batch+json or application/json.",
  });
});

describe("an idempotency key", () => {
  const key = { "idempotency-key": "k" };
  let tries = 0;
  const once = async (first: object, second: object) => {
    const own = { "idempotency-key": `k${++tries}` };
    const before = await post({ ...ce(required), ...key, ...own, ...first }, "1");
    expect(before.status).toBe(201);
    const after = await post({ ...ce(required), ...key, ...own, ...second }, "1");
    return after.status === 201 && after.body.made === before.body.made ? "again" : after.body.code;
  };

  test("is for one event in all that its headers say", async () => {
    expect(await once({ "ce-id": "1" }, { "ce-id": "2" })).toBe("idempotency_key_reused");
    expect(await once({ "ce-a": "x" }, { "ce-b": "x" })).toBe("idempotency_key_reused");
    expect(await once({ "ce-a": "x" }, {})).toBe("idempotency_key_reused");
    expect(await once({}, { "content-type": "text/plain" })).toBe("idempotency_key_reused");
  });

  test("is for the same event in headers of another order, and whatever else they say", async () => {
    expect(await once({ "ce-a": "x", "ce-b": "y" }, { "ce-b": "y", "ce-a": "x" })).toBe("again");
    expect(await once({ "user-agent": "a" }, { "user-agent": "b", accept: "*/*" })).toBe("again");
  });
});

test("the description names each way to send it", () => {
  const document = openapiOf([echo], "test");
  const { requestBody, parameters } = document.paths?.[echo.path]?.post ?? {};
  const types = ["application/cloudevents+json", "application/cloudevents-batch+json", "*/*", "application/json"];
  expect(Object.keys((requestBody as { content: object }).content)).toEqual(types);
  const headers = (parameters as { name: string; in: string }[]).filter((parameter) => parameter.in === "header");
  expect(headers.map(({ name }) => name)).toEqual(expect.arrayContaining(["Idempotency-Key", "ce-id", "ce-source"]));
  expect(JSON.stringify(document)).not.toContain('"extensions"');
});

test("no 5xx to wrong bodies in any form, and some of them are taken", async () => {
  const statuses = new Set<string>();
  const bytes = fc.tuple(headersOf(echo), fc.uint8Array({ maxLength: 60 })).map(([headers, body]) => ({
    headers,
    body: Uint8Array.from(body),
  }));
  const wrong = wrongBodies(echo).map((mutate) => mutate({ type: "a", payload: {} }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(bytes, wrong), async ({ headers, body }) => {
      const { status, body: answer } = await post(headers, body);
      expect(status, JSON.stringify(answer)).toBeLessThan(500);
      statuses.add(`${answer.mode ?? status}`);
    }),
    { numRuns: 1000, seed: 20_261_121 },
  );
  expect([...statuses]).toEqual(expect.arrayContaining(["plain", "structured", "batch", "binary", "400"]));
});
