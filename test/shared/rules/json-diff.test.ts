import fc from "fast-check";
import { applyPatch, type Operation } from "rfc6902";
import { expect, test } from "vitest";
import { differences } from "../../../shared/rules/json-diff.ts";

test.each<[string, unknown, unknown, object[]]>([
  ["nothing differs", { a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, []],
  ["a field is new", { a: 1 }, { a: 1, b: 2 }, [{ op: "add", path: "/b", value: 2 }]],
  ["a field is gone", { a: 1, b: 2 }, { a: 1 }, [{ op: "remove", path: "/b" }]],
  ["a field is another", { a: { b: 1 } }, { a: { b: 2 } }, [{ op: "replace", path: "/a/b", value: 2 }]],
  ["names have / and ~", { "a/b~": 1 }, { "a/b~": 2 }, [{ op: "replace", path: "/a~1b~0", value: 2 }]],
  ["an item comes first", [2, 3], [1, 2, 3], [{ op: "add", path: "/0", value: 1 }]],
  ["an item comes between", [1, 3], [1, 2, 3], [{ op: "add", path: "/1", value: 2 }]],
  ["an item comes last", [1, 2], [1, 2, 3], [{ op: "add", path: "/2", value: 3 }]],
  [
    "items are gone",
    [1, 2, 3, 4],
    [1, 4],
    [
      { op: "remove", path: "/2" },
      { op: "remove", path: "/1" },
    ],
  ],
  ["an item is another", [1, { a: 1 }, 3], [1, { a: 2 }, 3], [{ op: "replace", path: "/1/a", value: 2 }]],
  ["a list becomes an object", { a: [] }, { a: {} }, [{ op: "replace", path: "/a", value: {} }]],
  ["an object becomes a list", { a: {} }, { a: [] }, [{ op: "replace", path: "/a", value: [] }]],
  ["a field is called __proto__", JSON.parse('{"__proto__":1}'), {}, [{ op: "remove", path: "/__proto__" }]],
  ["null is a value", { a: null }, { a: 0 }, [{ op: "replace", path: "/a", value: 0 }]],
  ["the whole differs", 1, 2, [{ op: "replace", path: "", value: 2 }]],
])("%s", (_, from, to, expected) => {
  expect(differences(from, to)).toEqual(expected);
});

test("applied by another implementation, the patch makes the one from the other", () => {
  // The other one cannot set `__proto__`.
  const noise = fc.json({ maxDepth: 4 }).map((text) => JSON.parse(text.replaceAll("__proto__", "proto")));
  const related = fc.tuple(fc.array(noise, { maxLength: 6 }), fc.array(noise, { maxLength: 3 }), fc.nat(6));
  const pairs = fc.oneof(
    fc.tuple(noise, noise),
    related.map(([list, more, at]) => [list, [...list.slice(0, at), ...more, ...list.slice(at + 1)]] as const),
  );
  fc.assert(
    fc.property(pairs, ([from, to]) => {
      const target = structuredClone({ document: from });
      const patch = structuredClone(differences({ document: from }, { document: to })) as Operation[];
      expect(applyPatch(target, patch)).toEqual(patch.map(() => null));
      expect(target).toEqual({ document: to });
    }),
    { numRuns: 2000 },
  );
});

test("lists of 100,000 are compared in the time that reading them takes", () => {
  const list = Array.from({ length: 100_000 }, (_, i) => ({ i }));
  expect(differences(list, list.toReversed()).length).toBe(100_000);
});

test("5,000 changes under a key of 3,000 characters are one", () => {
  const under = (n: number) => ({
    a: 1,
    ["k".repeat(3000)]: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, n])),
  });
  expect(differences(under(1), under(2)).map(({ op, path }) => [op, path.length])).toEqual([["replace", 3001]]);
});
