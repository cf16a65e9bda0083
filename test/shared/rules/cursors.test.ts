import { expect, test } from "vitest";
import * as z from "zod";
import { Problem } from "../../../shared/errors.ts";
import { readCursor, toPage, writeCursor } from "../../../shared/rules/cursors.ts";

const Shape = z.tuple([z.string(), z.int()]);
const rows = (count: number) => Array.from({ length: count }, (_, n) => ({ name: `ü${n}`, n }));
const keyOf = ({ name, n }: { name: string; n: number }) => [name, n] as const;

test.each([
  ["plain", 1],
  ["", 0],
  ["ü/?&=#%+ \u{1f389}", Number.MAX_SAFE_INTEGER],
  ['"],[', -1],
])("a key comes back from its token: %j, %i", (name, n) => {
  const token = writeCursor([name, n]);
  expect(token).toMatch(/^[\w-]+$/);
  expect(readCursor(Shape, token)).toEqual([name, n]);
});

test("no token is no key", () => {
  expect(readCursor(Shape, undefined)).toBeUndefined();
});

test.each([
  ["nothing", ""],
  ["no base64", "***"],
  ["no JSON", Buffer.from("[1,").toString("base64url")],
  ["a key of another shape", writeCursor([1, "x"])],
  ["a key too short", writeCursor(["x"])],
  ["a key too long", writeCursor(["x", 1, 2])],
  ["no list", Buffer.from("{}").toString("base64url")],
  ["a text with a NUL, which PostgreSQL has none of", writeCursor(["a\0b", 1])],
  ["a time in a year 0", writeCursor(["0000-01-01T00:00:00.000Z", 1])],
  ["null", Buffer.from("null").toString("base64url")],
])("%s is refused as a bad pageToken", (_, token) => {
  expect(() => readCursor(Shape, token)).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      errors: [{ pointer: "/pageToken", message: expect.any(String) }],
    }),
  );
  expect(() => readCursor(Shape, token)).toThrow(Problem);
});

test.each([
  [0, 3, 0, false],
  [2, 3, 2, false],
  [3, 3, 3, false],
  [4, 3, 3, true],
  [2, 1, 1, true],
])("%i rows read for a page of %i: %i items, more: %s", (found, pageSize, items, more) => {
  const page = toPage(rows(found), pageSize, keyOf);
  expect(page.items).toEqual(rows(items));
  expect(page.nextPageToken === undefined).toBe(!more);
  if (more)
    expect(readCursor(Shape, page.nextPageToken)).toEqual(keyOf(rows(items).at(-1) as { name: string; n: number }));
});
