import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesPattern } from "../../../shared/rules/event-patterns.ts";
import { EventType, EventTypePattern } from "../../../shared/schemas/event.ts";

describe("matchesPattern", () => {
  test.each([
    ["alert", "alert", true],
    ["alert", "alerts", false],
    ["alert", "Alert", false],
    ["alert.*", "alert.blackscreen", true],
    ["alert.*", "alert", false],
    ["alert.*", "alert.a.b", false],
    ["*", "alert", true],
    ["*", "alert.a", false],
    ["*.*", "alert.a", true],
    ["*.created", "order.created", true],
    ["*.created", "order.deleted", false],
    ["a.*.c", "a.b.c", true],
    ["a.*.c", "a.b.d", false],
    ["alert.#", "alert", true],
    ["alert.#", "alert.a.b.c", true],
    ["alert.#", "alerts.a", false],
    ["alert.#", "x.alert", false],
    ["*.#", "a", true],
    ["*.a.#", "x.a", true],
    ["*.a.#", "x", false],
    ["#", "a.b.c", true],
    ["a.b", "a.b.c", false],
    ["a.b.c", "a.b", false],
    ["a+.b", "aa.b", false],
  ])("%s, %s: %j", (pattern, type, expected) => {
    expect(matchesPattern(pattern, type)).toBe(expected);
  });

  test("what it says, and nothing else, is one of the patterns that can be named for a type", () => {
    const part = (...more: string[]) => fc.constantFrom("a", "b", ...more);
    const types = fc.array(part(), { minLength: 1, maxLength: 5 });
    const patterns = fc
      .tuple(fc.array(part("*"), { maxLength: 5 }), fc.boolean())
      .map(([parts, isOpen]) => (isOpen ? [...parts, "#"] : parts).join("."))
      .filter((pattern) => pattern !== "");
    const named = ([first, ...rest]: string[]): string[] => {
      if (first === undefined) return ["", ".#"];
      return [".#", ...named(rest).flatMap((end) => [`.${first}${end}`, `.*${end}`])];
    };
    fc.assert(
      fc.property(patterns, types, (pattern, type) => {
        const names = named(type).map((name) => name.slice(1));
        return matchesPattern(pattern, type.join(".")) === names.includes(pattern);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("an event's type", () => {
  test.each([
    "alert",
    "build.deployed",
    "com.github.pull_request.opened",
    "order:created/eu",
    "für.élise",
    "x".repeat(255),
    Array(128).fill("a").join("."),
  ])("%s: is one, and a pattern for itself alone", (type) => {
    expect([EventType.safeParse(type).success, EventTypePattern.safeParse(type).success]).toEqual([true, true]);
    expect([matchesPattern(type, type), matchesPattern(type, `${type}x`)]).toEqual([true, false]);
  });

  test.each([
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "a b",
    "a\tb",
    "a\u0000",
    "a\u200b",
    "\ud800",
    "*",
    "a.*",
    "a.#",
    "a*",
    "#a",
  ])("%j is none", (type) => {
    expect(EventType.safeParse(type).success).toBe(false);
  });

  test("is at most 255 characters", () => {
    expect(EventType.safeParse("x".repeat(256)).success).toBe(false);
    expect(EventTypePattern.safeParse("x".repeat(256)).success).toBe(false);
  });
});

describe("a pattern", () => {
  test.each(["#", "*", "*.#", "alert.*", "a.b.c.d.e.f.g.*", "a.*.c.d.e.f.g.h", "a.b.c.d.e.f.g.h.#"])(
    "%s",
    (pattern) => {
      expect(EventTypePattern.safeParse(pattern).success).toBe(true);
    },
  );

  test.each(["", "#.a", "a.#.b", "##", "a#", "a*", "**", "a..*", "a.* ", "*.", ".#", "a b.#"])("%j is none", (text) => {
    expect(EventTypePattern.safeParse(text).success).toBe(false);
  });

  test.each(["a.b.c.d.e.f.g.h.*", "*.b.c.d.e.f.g.h.i", "a.b.c.d.e.f.g.h.i.#"])(
    "%s has a wildcard and too many segments to be named",
    (pattern) => {
      const { error } = EventTypePattern.safeParse(pattern);
      expect(error?.issues.map(({ message }) => message)).toEqual([
        "must have at most 8 segments beside a final # when it has a wildcard",
      ]);
    },
  );
});
