import { expect, test } from "vitest";
import { brakeHolds } from "../../../shared/rules/health.ts";

test.each([
  [0, 0, false],
  [0, 100, false],
  [1, 1, false],
  [19, 19, false],
  [10, 20, false],
  [11, 20, true],
  [20, 20, true],
  [10, 21, false],
  [11, 21, true],
  [11, 22, false],
  [500_000, 1_000_000, false],
  [500_001, 1_000_000, true],
  // Watched ones are counted only up to twice those that go offline: as many as that means that the rest may be well.
  [300, 600, false],
  [300, 599, true],
])("when %i of %i watched inboxes would go offline the brake holds: %s", (goingOffline, watched, holds) => {
  expect(brakeHolds(goingOffline, watched)).toBe(holds);
});
