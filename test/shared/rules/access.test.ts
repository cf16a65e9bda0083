import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Caller, type CallerRole, matches, permits, type Role, speaksFor } from "../../../shared/rules/access.ts";

const caller = (role: CallerRole, fields: Partial<Caller> = {}): Caller => ({
  principal: "p",
  role,
  addresses: [],
  ...fields,
});

describe("permits", () => {
  const roles: Role[] = ["public", "agent", "operator", "admin", "system"];
  test.each<[CallerRole, Role[]]>([
    ["agent", ["public", "agent"]],
    ["operator", ["public", "agent", "operator"]],
    ["admin", ["public", "agent", "operator", "admin"]],
    ["system", ["public", "system"]],
  ])("%s: %j, and nothing else", (role, allowed) => {
    expect(roles.filter((asked) => permits(asked, caller(role)))).toEqual(allowed);
  });
});

describe("matches", () => {
  test.each([
    ["sales-*@corp.example", "sales-eu@corp.example", true],
    ["sales-*@corp.example", "sales-@corp.example", true],
    ["sales-*@corp.example", "sales-eu@corp.example.evil", false],
    ["sales-*@corp.example", "x-sales-eu@corp.example", false],
    ["sales@corp.example", "sales@corp.example", true],
    ["sales@corp.example", "sales@corp.exampl", false],
    ["*", "", true],
    ["*", "anything", true],
    ["", "a", false],
    ["a*b*c", "a1b2b3c", true],
    ["a*b*c", "a1c2b", false],
    ["**", "x", true],
    ["a.c", "abc", false],
  ])("%s, %s: %j", (pattern, address, expected) => {
    expect(matches(pattern, address)).toBe(expected);
  });

  test("as trying every way to split the address does", () => {
    const slowly = (pattern: string, address: string): boolean => {
      if (pattern === "") return address === "";
      if (pattern[0] !== "*") return pattern[0] === address[0] && slowly(pattern.slice(1), address.slice(1));
      return Array.from({ length: address.length + 1 }, (_, n) => n).some((n) =>
        slowly(pattern.slice(1), address.slice(n)),
      );
    };
    const letters = (max: number) => fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: max });
    fc.assert(
      fc.property(letters(7), letters(9), (pattern, address) => matches(pattern, address) === slowly(pattern, address)),
      { numRuns: 5000 },
    );
  });

  test("in little time, however many stars", () => {
    const start = performance.now();
    expect(matches("*a".repeat(127), "a".repeat(254))).toBe(true);
    expect(matches(`${"*a".repeat(127)}b`, "a".repeat(255))).toBe(false);
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe("speaksFor", () => {
  test("an administrator and the system for everybody, others for what fits one of their patterns", () => {
    for (const role of ["admin", "system"] as const) expect(speaksFor(caller(role), "a")).toBe(true);
    for (const role of ["agent", "operator"] as const) {
      expect(speaksFor(caller(role), "a")).toBe(false);
      expect(speaksFor(caller(role, { addresses: ["b", "a*"] }), "a")).toBe(true);
    }
  });

  test("with a limit only for what fits that too; an empty one leaves nothing", () => {
    const limited = caller("agent", { addresses: ["a*"], limitedTo: ["*1"] });
    expect(["a1", "a2", "b1"].map((address) => speaksFor(limited, address))).toEqual([true, false, false]);
    expect(speaksFor(caller("agent", { addresses: ["*"], limitedTo: [] }), "a")).toBe(false);
  });
});
