import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isForeignSource, isOwnType, ownSource } from "../../../shared/rules/event-sources.ts";

test.each([
  "/cams",
  "/cams/",
  "/cams/x",
  "/v1/events",
  "/v1",
  "/v1/principals/b",
  "/%63ams",
  "/./cams",
  "./cams",
  "cams",
  "/cams?x",
  "/cams#x",
  "/x/../v1/events",
  "/v1/principals/a/../b",
])("%s is not a's", (source) => {
  expect(isForeignSource(source, "a")).toBe(true);
});

test.each([
  "/v1/principals/a",
  "/camshaft",
  "/orders",
  "//cams/v1",
  "https://x.example/v1/events",
  "urn:cams:v1",
  "/CAMS",
  "",
  "/v10",
  "/%ff/v1",
])("%s is a's to use", (source) => {
  expect(isForeignSource(source, "a")).toBe(false);
});

test("everybody may use the source that it has without naming one", () => {
  for (const principal of ["a", "https://issuer.example|b/c", "someone@example.com"])
    expect(isForeignSource(ownSource(principal), principal), principal).toBe(false);
});

test("the types of what happens in CAMS itself are those of the guide and of the triggers", () => {
  const guide = readFileSync("docs/events.md", "utf8");
  const table = guide.slice(guide.indexOf("## What happens in the service itself"));
  const named = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(
    ([, cell = ""]) => cell.match(/[a-z_]+(\.[a-z_]+)+/g) ?? [],
  );
  expect(named.length).toBeGreaterThan(15);
  for (const type of named) expect(isOwnType(type), type).toBe(true);
  for (const type of ["agent.task", "agent.registered.x", "order.paid", "definition", "budget.reached2"])
    expect(isOwnType(type), type).toBe(false);
});
