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

/** Records what attempts came to; those that end together share a statement and a commit. */
export interface Recorder {
  delivered(attempted: Attempted): Promise<void>;
  failed(attempted: Attempted): Promise<void>;
  interrupted(attempted: Attempted): Promise<void>;
  readonly done: Deliveries;
}

type How = "delivered" | "failed" | "interrupted";

export function createRecorder(queue: Repository["deliveries"], log: Logger, metrics: Metrics): Recorder {
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

  async function record(how: How, given: Attempted[]): Promise<void> {
    for (const until = performance.now() + KEPT_MS; ; await delay(RETRY_MS)) {
      try {
        return count(how, await queue[how](given));
      } catch (error) {
        if (isPassing(error) && performance.now() < until) continue;
        return log.error("attempts not recorded: their messages will be sent again", { error });
      }
    }
  }

  return {
    delivered: gather((given) => record("delivered", given)),
    failed: gather((given) => record("failed", given)),
    interrupted: gather((given) => record("interrupted", given)),
    done,
  };
}

/** Whether waiting may help: the database is away, or busy. */
export function isPassing(error: unknown): boolean {
  return error instanceof Problem && error.status === 503;
}
