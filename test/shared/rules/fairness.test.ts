import { describe, expect, test } from "vitest";
import { Places } from "../../../shared/rules/fairness.ts";

/** Windows in which each of these hosts has answered well, so often. */
function trusting(total: number, successes: number, ...hosts: string[]): Places {
  const places = new Places(total);
  for (const host of hosts)
    for (let n = 0; n < successes; n++) {
      places.begin(host);
      places.end(host, true);
    }
  return places;
}

describe("a host's window", () => {
  test("opens by one with each success, up to 16, and closes to 2 with a failure", () => {
    const places = new Places(100);
    expect(places.room("a")).toBe(2);
    const rooms = Array.from({ length: 20 }, () => {
      places.begin("a");
      places.end("a", true);
      return places.room("a");
    });
    expect(rooms).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16]);
    places.begin("a");
    places.end("a", false);
    expect(places.room("a")).toBe(2);
    expect(places.room("b")).toBe(2);
  });

  test("counts what is on its way, also when it closes under it", () => {
    const places = trusting(100, 10, "a");
    for (let n = 0; n < 5; n++) places.begin("a");
    expect(places.room("a")).toBe(7);
    places.end("a", false);
    expect(places.room("a")).toBe(0);
    for (let n = 0; n < 3; n++) places.end("a", false);
    expect(places.room("a")).toBe(1);
  });
});

describe("places", () => {
  const wish = (host: string, most = 100) => ({ host, most });

  test("are given one by one in turn: of three inboxes behind one host each gets its share", () => {
    const takes = trusting(100, 14, "a").shareOut([wish("a"), wish("a"), wish("a")]);
    expect(takes.toSorted()).toEqual([5, 5, 6]);
  });

  test("are never more than a host has room for, than a wish wants, or than there are", () => {
    const places = trusting(100, 20, "a", "b", "c");
    expect(places.shareOut([wish("a"), wish("b", 3), wish("new")])).toEqual([16, 3, 2]);
    const few = trusting(7, 20, "a", "b", "c");
    const sum = (takes: number[]) => takes.reduce((total, take) => total + take, 0);
    expect(sum(few.shareOut([wish("a"), wish("b"), wish("c")]))).toBe(7);
    for (let n = 0; n < 5; n++) few.begin("other");
    expect(few.free).toBe(2);
    expect(sum(few.shareOut([wish("a"), wish("b"), wish("c")]))).toBe(2);
    few.end("other", false);
    expect(few.free).toBe(3);
    expect(new Places(0).shareOut([wish("a")])).toEqual([0]);
    expect(places.shareOut([])).toEqual([]);
  });

  test("go to each of a thousand inboxes behind one host in time", () => {
    const places = trusting(100, 20, "a");
    const served = new Set<number>();
    for (let round = 0; round < 1000 && served.size < 1000; round++)
      places.shareOut(Array.from({ length: 1000 }, () => wish("a"))).forEach((take, index) => {
        if (take > 0) served.add(index);
      });
    expect(served.size).toBe(1000);
  });
});
