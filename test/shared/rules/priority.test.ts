import { expect, test } from "vitest";
import { MAX_HEAD_START_SECONDS, priorityRank, SECONDS_PER_STEP } from "../../../shared/rules/priority.ts";
import { Priority } from "../../../shared/schemas/message.ts";

test.each([
  ["CRITICAL", 1],
  ["HIGH", 2],
  ["NORMAL", 3],
  ["LOW", 4],
] as const)("%s has rank %i", (word, rank) => {
  expect(priorityRank(word)).toBe(rank);
});

test("every word of the API has a rank of its own", () => {
  expect(Priority.options.map(priorityRank)).toEqual([1, 2, 3, 4]);
});

test("the last is three steps of a minute behind the first, and a claim looks no further ahead", () => {
  const [first, last] = [priorityRank("CRITICAL"), priorityRank("LOW")];
  expect((last - first) * SECONDS_PER_STEP).toBe(180);
  expect(MAX_HEAD_START_SECONDS).toBe(180);
});
