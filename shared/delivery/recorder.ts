import { setTimeout as delay } from "node:timers/promises";
import { Problem } from "../errors.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Attempted } from "../repository/delivery-results.ts";
import type { Repository } from "../repository/index.ts";
import { gather } from "./gather.ts";

/** A result that cannot be recorded is kept this long; then its lease ends, and the message is sent once more. */
const KEPT_MS = 20_000;
const RETRY_MS = 500;

/** What was recorded. */
export interface Deliveries {
  delivered: number;
  failed: number;
  deadLettered: number;
}

/** Records what attempts came to; those that end together share a statement and a commit. Nothing here throws. */
export interface Recorder {
  delivered(attempted: Attempted): Promise<void>;
  failed(attempted: Attempted): Promise<void>;
  interrupted(attempted: Attempted): Promise<void>;
  readonly done: Deliveries;
}

type How = "delivered" | "failed" | "interrupted";

/** A recorder that tries again while the database is away, until `stop` aborts. */
export function createRecorder(
  queue: Repository["deliveries"],
  stop: AbortSignal,
  log: Logger,
  metrics: Metrics,
): Recorder {
  const done: Deliveries = { delivered: 0, failed: 0, deadLettered: 0 };

  function count(how: How, rows: readonly { dead: boolean }[]): void {
    const dead = rows.filter((row) => row.dead).length;
    done.deadLettered += dead;
    metrics.message("DEAD_LETTERED", dead);
    if (how === "failed") done.failed += rows.length;
    if (how !== "delivered") return;
    done.delivered += rows.length;
    metrics.message("DELIVERED", rows.length);
  }

  /** Answers the ids of what was recorded. */
  async function record(how: How, given: readonly Attempted[], wait: boolean): Promise<Set<string>> {
    for (const until = performance.now() + KEPT_MS; ; await delay(RETRY_MS)) {
      try {
        const rows = await queue[how](given, wait);
        count(how, rows);
        return new Set(rows.map(({ messageId }) => messageId));
      } catch (error) {
        if (isPassing(error) && performance.now() < until && !stop.aborted) continue;
        log.error("attempts not recorded: their messages will be sent again", { error });
        return new Set(given.map(({ messageId }) => messageId));
      }
    }
  }

  function recording(how: How): (attempted: Attempted) => Promise<void> {
    const left = new WeakSet<Attempted>();
    const together = gather<Attempted>(async (given) => {
      const recorded = await record(how, given, false);
      for (const one of given) if (!recorded.has(one.messageId)) left.add(one);
    });
    return async (attempted) => {
      await together(attempted);
      // Somebody has its row locked, or its lease: to find out which may take a while, and nobody else waits for it.
      if (left.has(attempted)) await record(how, [attempted], true);
    };
  }

  return {
    delivered: recording("delivered"),
    failed: recording("failed"),
    interrupted: recording("interrupted"),
    done,
  };
}

/** Whether waiting may help: the database is away, or busy. */
export function isPassing(error: unknown): boolean {
  return error instanceof Problem && error.status === 503;
}
