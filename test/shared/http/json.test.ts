import { describe, expect, test } from "vitest";
import { parseJson } from "../../../shared/http/json.ts";

const read = (text: string) => parseJson(Buffer.from(text));
const refusal = (code: string, pointer?: string) =>
  expect.objectContaining({ code, ...(pointer !== undefined && { errors: [expect.objectContaining({ pointer })] }) });

describe("a number", () => {
  test.each([
    ...[
      "0",
      "-0",
      "-0.0",
      "0e10",
      "0.000000000000000000000000000",
      "1.50000000000000000000000000",
      "1e2",
      "1E+2",
      "1e-7",
    ],
    ...[
      "9007199254740991",
      "9007199254740992",
      "-9007199254740991",
      "10000000000000000000000",
      "1.7976931348623157e308",
    ],
    ...["5e-324", "2.2250738585072014e-308", "0.1", "0.30000000000000004", "3.141592653589793", "1234567.1234567890"],
    ...["123456789012345680000", "123e18"],
  ])("%s is kept", (number) => {
    expect(read(`{"n":[${number}]}`)).toEqual({ n: [Number(number)] });
    expect(read(number)).toBe(Number(number));
  });

  test.each([
    ...["9007199254740993", "-9007199254740993", "12345678901234567890", "1e309", "-1e309", "1e-400", "1.8e308"],
    ...["0.10000000000000000001", "3.14159265358979323846", "1.0000000000000000000001e5", "123456789012345678e3"],
  ])("%s, which no double can keep, is written again as it came", (number) => {
    for (const text of [`{"a/b":{"n":[0,${number}]}}`, `[${number}]`, number])
      expect(JSON.stringify(read(text))).toBe(text);
  });

  test("in text, or in a key, is text", () => {
    for (const text of [
      '{"a":"12345678901234567890"}',
      '{"a":": 12345678901234567890,"}',
      '{"12345678901234567890":1}',
    ])
      expect(read(text)).toEqual(JSON.parse(text));
  });
});

test("keys keep their names, whatever objects know them for", () => {
  const text = '{"__proto__":{"a":1.0e0},"constructor":2,"toJSON":3}';
  expect(JSON.stringify(read(text))).toBe('{"__proto__":{"a":1},"constructor":2,"toJSON":3}');
});

test("64 levels are read, 65 refused, and a million too", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  expect(read(nested(64))).toEqual(JSON.parse(nested(64)));
  expect(() => read(nested(66))).toThrow(refusal("invalid_request", ""));
  expect(() => read(nested(500_000))).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^(invalid_request|malformed_json)$/) }),
  );
});

test.each([
  ["digits", `[${"9".repeat(1_000_000)}]`],
  ["zeros", `[1${"0".repeat(500_000)}1${"0".repeat(500_000)}]`],
  ["zeros behind the point", `[0.${"0".repeat(1_000_000)}1]`],
  ["many long numbers", `[${Array(50_000).fill("12345678901234567890").join(",")}]`],
  [
    "many objects with one long number",
    `[${Array(150_000).fill("{}").join(",")},{"a":[${Array(200).fill("12345678901234567890").join(",")}]}]`,
  ],
  ["text that looks like numbers", JSON.stringify(", 1234567890.12345".repeat(50_000))],
])("a body of 1 MB is read or refused in less than two seconds: %s", (_, text) => {
  const start = performance.now();
  try {
    read(text);
  } catch {}
  expect(performance.now() - start).toBeLessThan(2000);
});
