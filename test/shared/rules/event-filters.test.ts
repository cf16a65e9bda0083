import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { parseExactly } from "../../../shared/json.ts";
import { evaluate } from "../../../shared/rules/event-filters.ts";
import { faultsOf } from "../../../shared/rules/faults.ts";
import { type Condition, EventFilters } from "../../../shared/schemas/event-filters.ts";

const Body = z.strictObject({ filters: EventFilters.optional() });
const faults = (filters: unknown) => Body.safeParse({ filters }).error?.issues.flatMap(faultsOf) ?? [];
/** Whether a condition that may be written holds for a value; none given, there is none. */
const holds = (condition: unknown, ...value: unknown[]) => {
  const filters = EventFilters.parse({ a: condition });
  return evaluate(filters, value.length > 0 ? { a: value[0] } : {}).length === 0;
};

describe("a condition", () => {
  test.each<[Condition, unknown[], unknown[]]>([
    ["critical", ["critical", ["x", "critical"]], ["Critical", "critical ", null, [], ["x"], { critical: 1 }]],
    ["", [""], [null, 0, false]],
    [300, [300, [1, 300]], ["300", 301, 300.5, true]],
    [0, [0, -0], [false, null, "", "0"]],
    [true, [true], ["true", 1]],
    [null, [null, [null]], [0, "", "null", []]],
    ["0 6 * * *", ["0 6 * * *"], ["0 7 * * *"]],
    [">= 300", [300, 301, 1e300, [1, 300]], [299.9, "300", null, true, [], [[300]], { a: 300 }, Number.NaN]],
    [">=300", [300], [299]],
    ["> 300", [300.1], [300, 299]],
    ["<= -1.5", [-1.5, -2], [-1.4, 0]],
    ["< +2", [1.9, -5], [2, 3]],
    [" > 3", [" > 3"], [4]],
    [
      ["a", 1, null, "> 10"],
      ["a", 1, null, 11, ["z", 1]],
      ["1", "b", 10, 2, false, [["a"]]],
    ],
    [{ gt: 3 }, [3.1, [1, 4]], [3, "4", null, []]],
    [{ gte: 3, lt: 5 }, [3, 4, [9, 4]], [2, 5, [1, 9]]],
    [{ lte: 3 }, [3, -1], [4]],
    [
      { gte: "2026-11-01", lt: "2026-12-01" },
      ["2026-11-30T23:59:59Z"],
      ["2026-12-01T00:00:00Z", 2026, [["2026-11-30"]], { length: 4 }],
    ],
    [{ gt: "\uff5e" }, ["\u{1f600}", "\uff5e "], ["\uff5d", "z"]],
    [{ lt: "\u{1f600}" }, ["\uff5e", "\u{1f5ff}"], ["\u{1f600}", "\u{1f601}"]],
    [{ gt: ">= 3" }, [">= 4"], [4]],
    [{ prefix: "alert." }, ["alert.", "alert.x", ["y", "alert.x"]], ["alert", "xalert.", 1, null]],
    [{ prefix: "b", lt: "bc" }, ["ba"], ["bd", "a"]],
    [{ not: "x" }, ["y", null, 1, [], ["y"], { x: 1 }], ["x", ["y", "x"]]],
    [{ not: ["x", 1, "< 0"] }, ["y", 0, "1"], ["x", 1, -1, [5, -1]]],
    [{ not: "x", gt: "w" }, ["y", ["w", "y"]], ["x", "v", ["x", "y"]]],
    [{ exists: true }, [null, 0, [], {}], []],
    [{ exists: false }, [], [null, 0, ""]],
    [{ exists: true, not: null }, [1], [null]],
  ])("%j", (condition, fitting, others) => {
    for (const value of fitting) expect([value, holds(condition, value)]).toEqual([value, true]);
    for (const value of others) expect([value, holds(condition, value)]).toEqual([value, false]);
  });

  test.each<[Condition, boolean]>([
    ["x", false],
    [null, false],
    ["<= 1", false],
    [["x", null], false],
    [{ gt: 1 }, false],
    [{ prefix: "" }, false],
    [{ exists: true }, false],
    [{ exists: false }, true],
    [{ not: "x" }, true],
    [{ not: null }, true],
    [{ not: ["x", "> 1"], exists: false }, true],
    [{ not: "x", gt: 1 }, false],
  ])("%j of what is not there: %j", (condition, expected) => {
    expect(holds(condition)).toBe(expected);
  });

  test("a number of more digits than are kept is above and below, and equal to none", () => {
    const { a } = parseExactly('{"a": 12345678901234567891}') as { a: number };
    expect([holds("> 300", a), holds({ lt: 300 }, a), holds(Number("12345678901234567891"), a)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe("a path", () => {
  const at = (path: string, data: unknown) => evaluate({ [path]: { exists: true } }, data).length === 0;
  test.each<[string, unknown, boolean]>([
    ["a.b.c", { a: { b: { c: 0 } } }, true],
    ["a.b", { a: { b: null } }, true],
    ["a.b", { a: null }, false],
    ["a.b", { "a.b": 1 }, false],
    ["a.0", { a: [1] }, false],
    ["a.0", { a: { 0: 1 } }, true],
    ["a.length", { a: "text" }, false],
    ["a.length", { a: [1] }, false],
    ["0", [1], false],
    ["a.b", { a: [{ b: 1 }] }, false],
    ["toString", {}, false],
    ["constructor.name", {}, false],
    ["__proto__", {}, false],
    ["a.__proto__.toString", { a: {} }, false],
    ["a.__proto__", JSON.parse('{"a": {"__proto__": 1}}'), true],
    ["a.rawJSON", parseExactly('{"a": 12345678901234567891}'), false],
    ["a", undefined, false],
    ["a", null, false],
    ["a", "text", false],
  ])("%s in %j: %j", (path, data, expected) => {
    expect(at(path, data)).toBe(expected);
  });

  test("__proto__ may be asked for, and changes nothing", () => {
    const filters = EventFilters.parse(JSON.parse('{"__proto__": 1}'));
    expect(evaluate(filters, JSON.parse('{"__proto__": 1}'))).toEqual([]);
    expect(evaluate(filters, {})).toMatchObject([{ path: "__proto__", expected: 1 }]);
  });
});

test("what does not hold is told, with what there is instead", () => {
  const filters = EventFilters.parse({ a: "x", "b.c": ["> 3"], d: { exists: false }, e: null, f: true });
  expect(evaluate(filters, { a: ["y"], d: { z: 1 }, e: null, f: true })).toStrictEqual([
    { path: "a", expected: "x", actual: ["y"] },
    { path: "b.c", expected: ["> 3"] },
    { path: "d", expected: { exists: false }, actual: { z: 1 } },
  ]);
  expect(evaluate({}, undefined)).toEqual([]);
});

test("no event makes it fail, and none gets through equality but by being equal", () => {
  const scalar = fc.oneof(
    fc.constantFrom("a", "b", ""),
    fc.integer({ min: 0, max: 2 }),
    fc.boolean(),
    fc.constant(null),
  );
  const name = fc.constantFrom("a", "b", "__proto__", "toString");
  const data = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: "small" }, scalar, fc.array(tie("value")), fc.dictionary(name, tie("value"))),
  })).value;
  const path = fc.array(name, { minLength: 1, maxLength: 3 });
  const text = (value: unknown) => JSON.stringify(value);
  fc.assert(
    fc.property(path, scalar, data, (names, expected, value) => {
      const found = names.reduce<unknown>(
        (at, one) => Object.entries(Array.isArray(at) ? [] : (at ?? [])).find(([key]) => key === one)?.[1],
        value,
      );
      const isThere = Array.isArray(found) ? found.map(text).includes(text(expected)) : text(found) === text(expected);
      return (evaluate({ [names.join(".")]: expected }, value).length === 0) === isThere;
    }),
    { numRuns: 2000 },
  );
});

describe("is refused at write, where it is wrong", () => {
  const NO_COMPARISON = "must be a comparison with a number, such as >= 300, where it begins with < or >";
  const NO_SCALAR = "must be a string, a number, true, false or null";
  test.each<[unknown, string, string]>([
    [{ a: ">= soon" }, "/a", NO_COMPARISON],
    [{ a: "<b>" }, "/a", NO_COMPARISON],
    [{ a: ">" }, "/a", NO_COMPARISON],
    [{ a: ">= 1 2" }, "/a", NO_COMPARISON],
    [{ a: ["x", "> y"] }, "/a/1", NO_COMPARISON],
    [{ a: { not: "> y" } }, "/a/not", NO_COMPARISON],
    [{ a: { not: ["x", "> y"] } }, "/a/not/1", NO_COMPARISON],
    [{ a: [1, [2]] }, "/a/1", NO_SCALAR],
    [{ a: [{}] }, "/a/0", NO_SCALAR],
    [{ a: Number.POSITIVE_INFINITY }, "/a", NO_SCALAR],
    [{ a: [] }, "/a", "must not be empty"],
    [{ a: Array(101).fill(1) }, "/a", "must have at most 100 entries"],
    [{ a: {} }, "/a", "must not be empty"],
    [{ a: { gt: 1, greater: 2 } }, "/a/greater", "is not one of gt, gte, lt, lte, not, prefix, exists"],
    [{ a: { suffix: "z" } }, "/a/suffix", "is not one of gt, gte, lt, lte, not, prefix, exists"],
    [{ a: { gt: true } }, "/a/gt", "must be a number or a string"],
    [{ a: { gte: 1, lt: "z" } }, "/a", "must not compare with both numbers and strings"],
    [{ a: { gte: 1, prefix: "z" } }, "/a", "must not compare with both numbers and strings"],
    [{ a: { prefix: 1 } }, "/a/prefix", "must be a string"],
    [{ a: { exists: "yes" } }, "/a/exists", "must be true or false"],
    [{ a: { not: { gt: 1 } } }, "/a/not", "must be a string, a number, true, false, null or a list of them"],
    [{ a: "x".repeat(1001) }, "/a", "must have at most 1000 characters"],
    [{ a: { gt: "x".repeat(1001) } }, "/a/gt", "must have at most 1000 characters"],
    [{ a: "\0" }, "/a", "must be well-formed Unicode without NUL"],
    [{ a: { prefix: "\ud800" } }, "/a/prefix", "must be well-formed Unicode without NUL"],
    [{ "a..b": 1 }, "/a..b", "must be names separated by dots"],
    [{ ".a": 1 }, "/.a", "must be names separated by dots"],
    [{ "a\n": 1 }, "/a\n", "must not contain control characters"],
    [Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`a${n}`, 1])), "", "must have at most 50 entries"],
    [{ a: Array(17).fill("x".repeat(1000)) }, "", "must have at most 16384 characters as JSON"],
    [[], "", "must be an object"],
    [null, "", "must be an object"],
    ["> 3", "", "must be an object"],
  ])("%j", (filters, pointer, message) => {
    expect(faults(filters)).toEqual([{ pointer: `/filters${pointer}`, message }]);
  });

  test("a path of more than 255 characters", () => {
    expect(faults({ ["a".repeat(256)]: 1 })).toMatchObject([{ message: "must have at most 255 characters" }]);
  });
});

test("what is written at the limits is kept as it is", () => {
  const filters = {
    ...Object.fromEntries(Array.from({ length: 47 }, (_, n) => [`a${n}`, { lt: n, gte: 0, not: [1] }])),
    ["p".repeat(255)]: "x".repeat(1000),
    list: Array(100).fill(null),
    "a b.ü.c": -0.5,
  };
  expect(faults(filters)).toEqual([]);
  expect(JSON.stringify(EventFilters.parse(filters))).toBe(JSON.stringify(filters));
});
