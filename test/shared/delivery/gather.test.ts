import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { gather } from "../../../shared/delivery/gather.ts";

test("a lone item goes at once; what comes while it runs goes together after it", async () => {
  const runs: number[][] = [];
  let running = 0;
  const add = gather<number>(async (items) => {
    expect(++running).toBe(1);
    runs.push(items);
    await delay(20);
    running--;
  });
  const first = add(1);
  await delay(1);
  expect(runs).toEqual([[1]]);
  const others = [2, 3, 4].map(add);
  await first;
  const late = add(5);
  await Promise.all([...others, late]);
  expect(runs.map((items) => items.length)).toSatisfy((sizes: number[]) => sizes[0] === 1 && (sizes[1] ?? 0) >= 3);
  expect(runs.flat()).toEqual([1, 2, 3, 4, 5]);
});

test("a run that fails fails for its own items only", async () => {
  const add = gather<string>(async (items) => {
    await delay(5);
    if (items.includes("bad")) throw new Error("no");
  });
  const first = add("good");
  await delay(1);
  const [bad, neighbour] = [add("bad"), add("neighbour")];
  await expect(first).resolves.toBeUndefined();
  await expect(bad).rejects.toThrow("no");
  await expect(neighbour).rejects.toThrow("no");
  await expect(add("good again")).resolves.toBeUndefined();
});
