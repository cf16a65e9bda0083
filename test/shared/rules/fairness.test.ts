import { describe, expect, test } from "vitest";
import { shareOut, Windows } from "../../../shared/rules/fairness.ts";

/** Windows in which each of these hosts has answered well, so often. */
function trusting(successes: number, ...hosts: string[]): Windows {
  const windows = new Windows();
  for (const host of hosts)
    for (let n = 0; n < successes; n++) {
      windows.begin(host);
      windows.end(host, true);
    }
  return windows;
}

describe("a host's window", () => {
  test("opens by one with each success, up to 16, and closes to 2 with a failure", () => {
    const windows = new Windows();
    expect(windows.room("a")).toBe(2);
    const rooms = Array.from({ length: 20 }, () => {
      windows.begin("a");
      windows.end("a", true);
      return windows.room("a");
    });
    expect(rooms).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16]);
    windows.begin("a");
    windows.end("a", false);
    expect(windows.room("a")).toBe(2);
    expect(windows.room("b")).toBe(2);
  });

  test("counts what is on its way, also when it closes under it", () => {
    const windows = trusting(10, "a");
    for (let n = 0; n < 5; n++) windows.begin("a");
    expect(windows.room("a")).toBe(7);
    windows.end("a", false);
    expect(windows.room("a")).toBe(0);
    for (let n = 0; n < 3; n++) windows.end("a", false);
    expect(windows.room("a")).toBe(1);
  });
});

describe("places", () => {
  const wish = (host: string, most = 100, weight = 1) => ({ host, most, weight });

  test("are given one by one in turn: of three inboxes behind one host each gets its share", () => {
    const takes = shareOut([wish("a"), wish("a"), wish("a")], 100, trusting(14, "a"));
    expect(takes.toSorted()).toEqual([5, 5, 6]);
  });

  test("are never more than a host has room for, than a wish wants, or than there are", () => {
    const windows = trusting(20, "a", "b", "c");
    expect(shareOut([wish("a"), wish("b", 3), wish("new")], 100, windows)).toEqual([16, 3, 2]);
    const few = shareOut([wish("a"), wish("b"), wish("c")], 7, windows);
    expect(few.reduce((sum, take) => sum + take)).toBe(7);
    expect(shareOut([wish("a")], 0, windows)).toEqual([0]);
    expect(shareOut([], 10, windows)).toEqual([]);
  });

  test("count their weight, and what is too heavy leaves them to others", () => {
    const windows = trusting(20, "a", "b");
    const [heavy = 0, light = 0] = shareOut([wish("a", 1, 8), wish("b", 100, 1)], 10, windows);
    expect(heavy * 8 + light).toBeLessThanOrEqual(10);
    expect(light).toBeGreaterThanOrEqual(2);
    expect(shareOut([wish("a", 1, 8)], 7, windows)).toEqual([0]);
  });

  test("go to each of a thousand inboxes behind one host in time", () => {
    const windows = trusting(20, "a");
    const served = new Set<number>();
    for (let round = 0; round < 1000 && served.size < 1000; round++)
      shareOut(
        Array.from({ length: 1000 }, () => wish("a")),
        100,
        windows,
      ).forEach((take, index) => {
        if (take > 0) served.add(index);
      });
    expect(served.size).toBe(1000);
  });
});
