import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Hints } from "../db/hints.ts";
import { runWithContext } from "../logging/context.ts";
import type { Logger } from "../logging/index.ts";
import type { Repository } from "../repository/index.ts";
import { comparePositions, laterPosition, type Position } from "../rules/event-positions.ts";
import { EVENTS } from "../rules/topics.ts";
import type { Service } from "./service.ts";

/** What is read of the log. */
export type EventLog = Pick<Repository["events"], "readAfter">;
type Page = Awaited<ReturnType<EventLog["readAfter"]>>;
type LogEntry = Page["events"][number];

/** An event as followers take it; `data` is the CloudEvent as JSON in one line. */
export interface Followed {
  position: Position;
  type: string;
  data: string;
}

/** Somebody who follows the log. */
export interface Follower {
  /**
   * What comes next, in order, and where the follower then is; no events when there were none for `ms`, or the log was
   * read on over nothing. Rejects when the log cannot be read.
   */
  next(ms: number): Promise<{ events: readonly Followed[]; position: Position }>;
  /** Resolves when nothing is left behind of the last follower: no timer, and no listener. */
  leave(): Promise<void>;
}

/**
 * Follows the log behind `from`, by a reader that all followers in the process share. It begins at `now`, at or behind
 * which `from` is; what is in between a follower reads for itself. `signal` ends a wait of `next`.
 */
export type Follow = (log: EventLog, from: Position, now: Position, signal: AbortSignal) => Follower;

/** Most events that are read at once, and that a follower takes at once. */
const PAGE = 100;
/** What is kept for followers that are not so quick, in events and in bytes of JSON. */
const KEPT = 1_000;
const KEPT_BYTES = 8 * 1024 * 1024;
/** Hints may be lost, so the log is read without one too. */
const POLL_MS = 2_000;
/** Behind an unfinished transaction, whose end nothing announces, it is read soon again and then more seldom. */
const PENDING_MS = { first: 20, last: 250 };
const AGAIN_MS = 500;
/** A log that cannot be read for so long is no longer followed: followers that hear nothing would think nothing is new. */
const GIVE_UP_MS = 30_000;

/** The end of the log in this process. It is read only while somebody follows. */
export const eventTail: Service<Follow> = {
  rights: [],
  open({ hints, log }) {
    const tails = createTails(hints, log);
    return {
      service: tails.follow,
      close: (graceMs) => Promise.race([tails.ended(), delay(graceMs, undefined, { ref: false })]),
    };
  },
};

interface Tail {
  followers: Set<() => void>;
  /** Of everything behind `floor` up to `reached`; nothing will ever appear before `reached` any more. */
  kept: Followed[];
  floor: Position;
  reached: Position;
  /** The pause before the next look behind an unfinished transaction, in milliseconds. */
  pause: number;
  failingSince: number | undefined;
  failure: unknown;
  /** Has it read on, or end when nobody follows. */
  wake(): void;
  ended: Promise<void>;
}

/** Exported for tests. */
export function createTails(hints: Pick<Hints, "subscribe">, log: Pick<Logger, "warning">) {
  let current: Tail | undefined;

  /** The tail that is read; a new one when there is none, or when the last one is just ending. */
  function running(events: EventLog, now: Position): Tail {
    if (current && current.followers.size > 0 && !current.failure) return current;
    const tail: Tail = {
      followers: new Set(),
      kept: [],
      floor: now,
      reached: now,
      pause: PENDING_MS.first,
      failingSince: undefined,
      failure: undefined,
      wake: () => {},
      ended: Promise.resolve(),
    };
    // Not as part of the request that came first: it has an end, and a log line that counts statements.
    const context = { requestId: randomUUID(), functionName: "event-tail", statements: 0, databaseMilliseconds: 0 };
    tail.ended = runWithContext(context, () => read(tail, events));
    current = tail;
    return tail;
  }

  async function read(tail: Tail, events: EventLog): Promise<void> {
    const subscription = await hints.subscribe(EVENTS);
    tail.wake = subscription.wake;
    try {
      while (tail.followers.size > 0) {
        const rest = await readOn(tail, events);
        if (rest > 0) await subscription.sleep(rest);
      }
    } catch (error) {
      tail.failure = error;
    } finally {
      await subscription.leave();
      for (const wake of tail.followers) wake();
    }
  }

  /** Reads the next page; answers how many milliseconds there is time until the one after it. */
  async function readOn(tail: Tail, events: EventLog): Promise<number> {
    try {
      const page = await events.readAfter(tail.reached, PAGE);
      tail.failingSince = undefined;
      keep(tail, page);
      const isStuck = page.pending && page.events.length === 0;
      tail.pause = isStuck ? Math.min(tail.pause * 2, PENDING_MS.last) : PENDING_MS.first;
      if (page.more) return 0;
      return page.pending ? tail.pause : POLL_MS;
    } catch (error) {
      if (tail.failingSince === undefined) log.warning("the log of events cannot be read", { error });
      tail.failingSince ??= performance.now();
      if (performance.now() - tail.failingSince > GIVE_UP_MS) throw error;
      return AGAIN_MS;
    }
  }

  function follow(events: EventLog, from: Position, now: Position, signal: AbortSignal): Follower {
    const tail = running(events, now);
    let position = from;
    let resume = () => {};
    const wake = () => resume();
    tail.followers.add(wake);
    signal.addEventListener("abort", wake, { once: true });

    const news = (ms: number) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });

    return {
      async next(ms) {
        if (comparePositions(position, tail.floor) < 0) {
          // All that is before the floor is there to be read: without more, the follower is at the floor at least.
          const { floor } = tail;
          const page = await events.readAfter(position, PAGE);
          position = page.more ? page.position : laterPosition(page.position, floor);
          return { events: page.events.map(toFollowed), position };
        }
        if (comparePositions(position, tail.reached) >= 0 && !tail.failure && !signal.aborted) await news(ms);
        if (tail.failure) throw tail.failure;
        // Left behind while it waited: its turn to read for itself.
        if (comparePositions(position, tail.floor) < 0) return { events: [], position };
        const first = tail.kept.findLastIndex((entry) => comparePositions(entry.position, position) <= 0) + 1;
        const taken = tail.kept.slice(first, first + PAGE);
        const isAll = first + taken.length === tail.kept.length;
        position = isAll ? laterPosition(position, tail.reached) : (taken.at(-1) as Followed).position;
        return { events: taken, position };
      },
      async leave() {
        signal.removeEventListener("abort", wake);
        tail.followers.delete(wake);
        if (tail.followers.size > 0) return;
        tail.wake();
        await tail.ended;
      },
    };
  }

  return { follow, ended: async () => current?.ended };
}

/** Adds a page to what is kept, and tells the followers if it led on. */
function keep(tail: Tail, page: Page): void {
  tail.kept.push(...page.events.map(toFollowed));
  let bytes = 0;
  let from = tail.kept.length;
  while (from > 0 && tail.kept.length - from < KEPT && bytes < KEPT_BYTES) bytes += tail.kept[--from]?.data.length ?? 0;
  const dropped = tail.kept.splice(0, from).at(-1);
  if (dropped) tail.floor = dropped.position;
  tail.reached = laterPosition(tail.reached, page.position);
  if (page.events.length > 0) for (const wake of tail.followers) wake();
}

function toFollowed({ position, type, event }: LogEntry): Followed {
  return { position, type, data: JSON.stringify(event) };
}
