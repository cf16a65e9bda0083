import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { Hints } from "../../../shared/db/hints.ts";
import { createOwnEvents } from "../../../shared/services/own-events.ts";

/** Follows notices; `ready` says how many events there are to be routed when it looks. */
function following(ready: () => number) {
  const route = vi.fn(async () => ready());
  const publish = vi.fn();
  const warning = vi.fn();
  const hints = { publish } as unknown as Hints;
  return { route, publish, warning, ...createOwnEvents({ hints, log: { warning } as never, route }) };
}

test("what nobody wants is told to followers, and nothing is routed", async () => {
  const { heard, route, publish, close } = following(() => 0);
  heard("something else");
  for (let n = 0; n < 3; n++) heard("cams.event");
  await vi.waitUntil(() => publish.mock.calls.length > 0);
  await close();
  expect(publish.mock.calls).toEqual([["events"]]);
  expect(route).not.toHaveBeenCalled();
});

test("what is committed a little after it was told is routed by a second look", async () => {
  let committed = 0;
  const { heard, route, close } = following(() => committed);
  heard("cams.event.wanted");
  await delay(100);
  expect(route).toHaveBeenCalledTimes(1);
  committed = 1;
  await vi.waitUntil(() => route.mock.calls.length === 2);
  await delay(400);
  expect(route).toHaveBeenCalledTimes(2);
  await close();
});

test("what is told while something is being routed is routed too", async () => {
  const { heard, route, publish, close } = following(() => 0);
  route.mockImplementationOnce(async () => {
    heard("cams.event.wanted");
    return 0;
  });
  heard("cams.event.wanted");
  await vi.waitUntil(() => publish.mock.calls.length === 2);
  await close();
  expect(route).toHaveBeenCalledTimes(2);
});

test("a hundred at once are looked behind, and a failure is left to the tick", async () => {
  const left = [100, 100, 7];
  const { heard, route, warning, close } = following(() => left.shift() ?? 0);
  heard("cams.event.wanted");
  await vi.waitUntil(() => route.mock.calls.length === 3);
  await close();
  route.mockRejectedValueOnce(new Error("gone"));
  heard("cams.event.wanted");
  await vi.waitUntil(() => warning.mock.calls.length === 1);
  await close();
});
