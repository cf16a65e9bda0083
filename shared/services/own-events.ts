import { setTimeout as delay } from "node:timers/promises";
import type { Hints } from "../db/hints.ts";
import type { Logger } from "../logging/index.ts";
import { EVENTS } from "../rules/topics.ts";

/** What the database says when something happened in CAMS itself, and when somebody subscribed to it. */
const HAPPENED = "cams.event";
const WANTED = "cams.event.wanted";
/** It is said before the commit: a little later there is something to see; where that takes longer, by a second look. */
const UNTIL_COMMITTED_MS = 20;
const SECOND_LOOK_MS = 300;
/** Events that one transaction brings to their subscribers. */
const AT_ONCE = 100;

interface Dependencies {
  hints: Hints;
  log: Logger;
  /** Brings events that wait for it to their subscribers, up to so many; answers how many. */
  route(limit: number): Promise<number>;
}

/** Follows up what happened in CAMS itself. Whatever is left undone here, when the process ends, the tick does. */
export interface OwnEvents {
  /** Takes a notice of the database. */
  heard(notice: string): void;
  /** Waits for what is being brought to subscribers. */
  close(): Promise<void>;
}

export function createOwnEvents({ hints, log, route }: Dependencies): OwnEvents {
  let following: Promise<void> | undefined;
  let late: NodeJS.Timeout | undefined;
  let again = false;
  let wanted = false;
  let isSecondLook = false;

  function lookAgain(): void {
    late = undefined;
    again = wanted = isSecondLook = true;
    begin();
  }

  async function follow(): Promise<void> {
    do {
      await delay(UNTIL_COMMITTED_MS);
      again = false;
      hints.publish(EVENTS);
      if (!wanted) continue;
      if (!isSecondLook) late ??= setTimeout(lookAgain, SECOND_LOOK_MS).unref();
      wanted = isSecondLook = false;
      while ((await route(AT_ONCE)) === AT_ONCE);
    } while (again);
  }

  function begin(): void {
    following ??= follow()
      .catch((error) => log.warning("events are left to the next tick", { error }))
      .finally(() => {
        following = undefined;
      });
  }

  return {
    heard(notice) {
      if (notice !== HAPPENED && notice !== WANTED) return;
      again = true;
      wanted ||= notice === WANTED;
      begin();
    },
    async close() {
      clearTimeout(late);
      await following;
    },
  };
}
