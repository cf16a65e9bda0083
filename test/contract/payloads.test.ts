import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);

/** Sends the payload's text as it is; answers the payload's text as it comes back, when it was accepted. */
async function roundTrip(payload: string, way: "alone" | "in a batch" = "alone") {
  const { aiAgentAddress } = await make.inbox();
  const rest = JSON.stringify({ recipientAddress: aiAgentAddress, senderAddress: "a" }).slice(1);
  const headers = { "content-type": "application/json" };
  const text = `{"payload":${payload},${rest}`;
  const sent = await (way === "alone"
    ? service.raw("POST", "/v1/messages", text, headers)
    : service.raw("POST", "/v1/messages/batch", `{"messages":[${text}]}`, headers));
  if (sent.status >= 400) return { sent, texts: [] };
  const pull = await fetch(`${service.url}/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, { method: "POST" });
  const { messageId } = way === "alone" ? sent.body : sent.body.results[0];
  const get = await fetch(`${service.url}/v1/messages/${messageId}`);
  const texts = [await pull.text(), await get.text()].map((text) => payloadIn(text));
  return { sent, texts };
}

function payloadIn(answer: string): string {
  const from = answer.indexOf('"payload":') + '"payload":'.length;
  return answer.slice(from, answer.indexOf(',"priority"', from));
}

const kept: [string, string][] = [
  ["nothing", "{}"],
  ["a NUL", String.raw`{"a":"\u0000","\u0000":1}`],
  ["control characters", String.raw`{"a":"\u0001\b\f\n\r\t\u001f"}`],
  ["lone surrogates", String.raw`{"a":"\ud800","\udfff":"x\udc00y"}`],
  ["characters beyond the basic plane", '{"😀":"𝄞 e\u0301 \u202e \ufeff \u2028 \uffff"}'],
  [
    "keys that objects have anyway",
    '{"__proto__":{"a":1},"constructor":1,"toString":2,"hasOwnProperty":3,"toJSON":4,"then":5}',
  ],
  ["nested such keys", '{"a":[{"__proto__":{"__proto__":null}}]}'],
  ["an empty key, and a key with JSON pointer's signs", '{"":{"":""},"a/b~c":1}'],
  ["numbers at the ends of a double", '{"n":[9007199254740991,-9007199254740991,1.7976931348623157e+308,5e-324,0.1]}'],
  [
    "numbers that no double can keep",
    '{"n":[12345678901234567890,-9223372036854775807,9007199254740993,0.12345678901234567890123,1e999,-1e400,1e-400]}',
  ],
  ["big numbers in text", '{"n":"123456789012345678901234567890.123456789"}'],
  ["scalars of every kind", '{"a":[null,true,false,0,"",[],{}]}'],
  ["SQL and templates", String.raw`{"a":"'; drop table cams.messages; -- $1 %s \\ \" {{x}}"}`],
  ["64 levels with the message's own", `{"a":${"[".repeat(62)}0${"]".repeat(62)}}`],
  ["255 KiB", `{"a":"${"é".repeat(127 * 1024)}"}`],
];

test.each(kept)("a payload with %s comes back as it was sent", async (_, payload) => {
  const { sent, texts } = await roundTrip(payload);
  expect(sent.status, JSON.stringify(sent.body)).toBe(202);
  expect(texts).toEqual([payload, payload]);
});

// A batch is two levels more of its own.
const alike = kept.filter(([name]) => !name.startsWith("64 levels"));
test.each(alike)("in a batch, a payload with %s comes back as it was sent", async (_, payload) => {
  const { sent, texts } = await roundTrip(payload, "in a batch");
  expect(sent.status, JSON.stringify(sent.body)).toBe(200);
  expect(texts).toEqual([payload, payload]);
});

const respelled: [string, string, string][] = [
  ["white space", '{ "a" : 1 }', '{"a":1}'],
  ["needless escapes", String.raw`{"\u0061":"\/"}`, '{"a":"/"}'],
  [
    "numbers of another spelling",
    '{"n":[1.0,1e2,1E-07,-0.0,100000000000000000000]}',
    '{"n":[1,100,1e-7,0,100000000000000000000]}',
  ],
];

test.each(respelled)("a payload with %s comes back as the same JSON", async (_, payload, same) => {
  const { texts } = await roundTrip(payload);
  expect(texts).toEqual([same, same]);
});

test.each([
  ["more than 256 KiB", `{"a":"${"x".repeat(256 * 1024)}"}`],
  ["10,000 levels", `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
  ["an array", "[]"],
  ["text", '"{}"'],
  ["null", "null"],
])("400 to a payload of %s", async (_, payload) => {
  const { sent } = await roundTrip(payload);
  expect(sent).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  expect(await service.sql("select from cams.messages")).toEqual([]);
});

test("metadata with any key comes back whole, or is refused: no entry is dropped", async () => {
  const { aiAgentAddress } = await make.inbox();
  for (const key of ["__proto__", "constructor", "toString", "a b", "é", "\u0000", "\ud800", ""]) {
    const text = `{"recipientAddress":"${aiAgentAddress}","senderAddress":"a","payload":{},"metadata":{${JSON.stringify(key)}:"x"}}`;
    const { status, body } = await service.raw("POST", "/v1/messages", text, { "content-type": "application/json" });
    if (status === 202) {
      const message = await service.get(`/v1/messages/${body.messageId}`);
      expect(Object.entries(message.body.metadata ?? {})).toEqual([[key, "x"]]);
    } else
      expect({ status, pointer: body.errors[0].pointer }).toEqual({
        status: 400,
        pointer: `/metadata/${key.toWellFormed()}`,
      });
  }
});

test("400 in less than two seconds, naming some faults of a body that is nothing but faults", async () => {
  const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const names = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => `"${a}${b}${c}":0`)));
  const fields = names.slice(0, 120_000).join(",");
  for (const text of [`{${fields}}`, `{"metadata":{${fields}}}`, `{"payload":[${"0,".repeat(500_000)}0]}`]) {
    const start = performance.now();
    const answer = await service.raw("POST", "/v1/messages", text, { "content-type": "application/json" });
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(answer.body.errors.length).toBeLessThanOrEqual(100);
    expect(performance.now() - start).toBeLessThan(2000);
  }
});
