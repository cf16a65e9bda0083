import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTails, type EventLog } from "../../../shared/services/event-tail.ts";

const START = { at: 0, transaction: "1", seq: 0 };
const entry = { position: { at: 0, transaction: "1", seq: 1 }, type: "seen", event: {} };
const PAGE = { events: [entry], position: { at: 0, transaction: "2", seq: 0 }, more: false, pending: false };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Hints that never come. */
const hints = {
  subscribe: async () => ({
    wake: () => {},
    sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    leave: async () => {},
  }),
};

/** Follows a log that cannot be read for so many milliseconds. */
function followAfter(outageMs: number) {
  const warning = vi.fn();
  const { follow } = createTails(hints, { warning });
  const end = performance.now() + outageMs;
  const readAfter = vi.fn(async () => {
    if (performance.now() < end) throw new Error("gone");
    return PAGE;
  });
  const begin = () => follow({ readAfter } as unknown as EventLog, START, START, new AbortController().signal);
  return { begin, readAfter, warning };
}

test("a log that cannot be read for 29 s is read on, and its operator is told once", async () => {
  const { begin, warning } = followAfter(29_000);
  const next = begin().next(60_000);
  await vi.advanceTimersByTimeAsync(31_000);
  expect((await next).events).toMatchObject([{ type: "seen" }]);
  expect(warning).toHaveBeenCalledTimes(1);
});

test("one that cannot be read for longer ends its followers, and is read anew for who comes next", async () => {
  const { begin, readAfter } = followAfter(35_000);
  const ended = expect(begin().next(60_000)).rejects.toThrow("gone");
  await vi.advanceTimersByTimeAsync(34_000);
  await ended;
  const reads = readAfter.mock.calls.length;
  await vi.advanceTimersByTimeAsync(4_000);
  expect(readAfter).toHaveBeenCalledTimes(reads);
  const next = begin().next(60_000);
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await next).events).toMatchObject([{ type: "seen" }]);
});
