import { describe, expect, test } from "vitest";
import { idempotencyKeyOf, ifMatchOf, requestIdOf, traceOf, traceparentOf } from "../../../shared/http/headers.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";

describe("requestIdOf", () => {
  test.each(["r", "019a-b", "a/b:c=d", "x".repeat(128), "';--", "~!"])("keeps %j", (id) => {
    expect(requestIdOf(id)).toBe(id);
  });

  test.each([undefined, "", " ", "a b", "a\tb", "ä", "a\u007f", "x".repeat(129), "a, b"])(
    "makes another for %j",
    (id) => {
      expect(requestIdOf(id)).toMatch(UUID);
    },
  );

  test("makes another for each", () => {
    expect(requestIdOf(undefined)).not.toBe(requestIdOf(undefined));
    expect(requestIdOf(["a", "b"])).toMatch(UUID);
  });
});

describe("traceOf", () => {
  test.each([
    ["00", false],
    ["01", true],
    ["02", false],
    ["ff", true],
  ])("reads flags %s, and opens a span of its own", (flags, sampled) => {
    const read = traceOf(`00-${trace}-${span}-${flags}`);
    expect(read).toMatchObject({ traceId: trace, parentSpanId: span, sampled });
    expect(read?.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(read?.spanId).not.toBe(span);
    expect(traceparentOf(read)).toBe(`00-${trace}-${read?.spanId}-${sampled ? "01" : "00"}`);
  });

  test.each([
    undefined,
    "",
    trace,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-1`,
    `00-${trace}-${span}-01-more`,
    ` 00-${trace}-${span}-01`,
    `ff-${trace}-${span}-01`,
    `01-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace}0-${span}-01`,
    `00-${trace}-${span}-0g`,
  ])("reads nothing in %j", (header) => {
    expect(traceOf(header)).toBeUndefined();
  });

  test("nothing is written as nothing", () => {
    expect(traceOf([`00-${trace}-${span}-01`, ""])).toBeUndefined();
    expect(traceparentOf(undefined)).toBeUndefined();
  });
});

describe("ifMatchOf", () => {
  test.each<[string | undefined, number[] | undefined]>([
    [undefined, undefined],
    ["*", undefined],
    [" * ", undefined],
    ['"1"', [1]],
    ['"0"', [0]],
    ['"007"', [7]],
    ['"999999999"', [999_999_999]],
    ['"1", "2" ,"3"', [1, 2, 3]],
    ['"1",*', [1]],
    ["", []],
    ["1", []],
    ['W/"1"', []],
    ['w/"1"', []],
    ['"1', []],
    ['"-1"', []],
    ['"1.0"', []],
    ['"1e3"', []],
    ['" 1"', []],
    ['"abc"', []],
    ['"9999999999"', []],
    ['"1""2"', []],
    [",,,", []],
  ])("%j names %j", (header, revisions) => {
    expect(ifMatchOf(header)).toEqual(revisions);
  });
});

describe("idempotencyKeyOf", () => {
  test.each([undefined, "k", " ", "a b", '"quoted"', "x".repeat(255), "~"])("takes %j", (header) => {
    expect(idempotencyKeyOf(header)).toBe(header);
  });

  test.each(["", "x".repeat(256), "ä", "a\tb", "a\u007f", "\u0000"])("refuses %j", (header) => {
    expect(() => idempotencyKeyOf(header)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("refuses two", () => {
    expect(() => idempotencyKeyOf(["a", "b"])).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});
