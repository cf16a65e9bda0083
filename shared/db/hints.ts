import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { Logger } from "../logging/index.ts";
import type { Pool } from "./pool.ts";

/** How long a waiting request trusts hints alone: what no hint announces (a delay that ends) is found by asking. */
const POLL_MS = 2_000;
/** At most one NOTIFY in this time: it takes a lock over the whole instance at commit. */
const NOTIFY_EVERY_MS = 5;
/** A NOTIFY payload must stay below 8,000 bytes. */
const MAX_PAYLOAD = 7_500;

/** Wake-up hints between requests and between processes. A hint may be lost or false, never relied upon. */
export interface Hints {
  /** Says that something may be there for whoever waits for `topic`; call it after the commit. */
  publish(topic: string): void;
  /**
   * Repeats `attempt` until it answers something, on every hint for one of `topics` and now and then, at most `seconds`
   * long. Ends early, with what the last attempt answered, when `signal` aborts. Which topics is asked after the first
   * attempt: that may have told.
   */
  waitFor<T>(
    topics: Topics,
    seconds: number,
    signal: AbortSignal,
    attempt: () => Promise<T | undefined>,
  ): Promise<T | undefined>;
  /** Listens for hints of these topics until `leave`. */
  subscribe(...topics: string[]): Promise<Subscription>;
  close(): Promise<void>;
}

/** One topic, or however many there turn out to be. */
export type Topics = string | (() => string[]);

/** A sleep that hints end. */
export interface Subscription {
  /** Ends the sleep as a hint would. */
  wake(): void;
  /** Sleeps until a hint comes, at most `ms` long; not at all when one came since the last sleep. */
  sleep(ms: number): Promise<void>;
  leave(): Promise<void>;
}

interface Dependencies {
  /** Where to publish: a pool with connections, as a hint follows a statement; it alone is worth none. */
  pool: () => Pool | undefined;
  /** A connection of its own, connected: to listen. */
  client: () => Promise<pg.Client>;
  log: Logger;
  /** How long the listening connection outlives the last waiter; 0 where an idle process is frozen (Cloud Run). */
  lingerMs: number;
}

export function createHints({ pool, client, log, lingerMs }: Dependencies): Hints {
  const self = randomUUID();
  const waiting = new Map<string, Set<() => void>>();
  const unsent = new Set<string>();
  let notifying: NodeJS.Timeout | undefined;
  let lastNotify = 0;
  let listener: Promise<pg.Client | undefined> | undefined;
  let closing: NodeJS.Timeout | undefined;

  function wake(topic: string): void {
    for (const wakeUp of waiting.get(topic) ?? []) wakeUp();
  }

  function notify(): void {
    notifying = undefined;
    lastNotify = performance.now();
    let payload = self;
    const send = (text: string) =>
      pool()
        ?.query("select pg_notify('cams_hints', $1)", [text])
        .catch((error) => log.debug("hint not sent", { error }));
    for (const topic of unsent) {
      if (Buffer.byteLength(payload) + Buffer.byteLength(topic) > MAX_PAYLOAD) {
        void send(payload);
        payload = self;
      }
      payload += `\n${topic}`;
    }
    unsent.clear();
    void send(payload);
  }

  /** The listening connection, opened when there is none; undefined when it cannot be had now. */
  function listening(): Promise<pg.Client | undefined> {
    if (listener) return listener;
    const opened = listen(() => {
      if (listener === opened) listener = undefined;
    });
    listener = opened;
    return opened;
  }

  async function listen(lost: () => void): Promise<pg.Client | undefined> {
    let connection: pg.Client | undefined;
    try {
      connection = await client();
      connection.on("error", (error) => {
        log.warning("listening connection lost", { error });
        lost();
      });
      connection.on("notification", ({ payload = "" }) => {
        const [sender, ...topics] = payload.split("\n");
        if (sender !== self) topics.forEach(wake);
      });
      await connection.query("listen cams_hints");
      return connection;
    } catch (error) {
      log.warning("cannot listen for hints", { error });
      lost();
      void connection?.end().catch(() => {});
      return undefined;
    }
  }

  async function stopListening(): Promise<void> {
    clearTimeout(closing);
    const connection = listener;
    listener = undefined;
    await (await connection)?.end().catch(() => {});
  }

  async function leave(topics: readonly string[], wakeUp: () => void): Promise<void> {
    for (const topic of topics) {
      const waiters = waiting.get(topic);
      waiters?.delete(wakeUp);
      if (waiters?.size === 0) waiting.delete(topic);
    }
    if (waiting.size > 0) return;
    if (lingerMs === 0) await stopListening();
    else {
      clearTimeout(closing);
      closing = setTimeout(() => waiting.size === 0 && void stopListening(), lingerMs);
      closing.unref();
    }
  }

  async function subscribe(...topics: string[]): Promise<Subscription> {
    let woken = false;
    let resume: (() => void) | undefined;
    const wakeUp = () => {
      woken = true;
      resume?.();
    };
    for (const topic of topics) waiting.set(topic, (waiting.get(topic) ?? new Set()).add(wakeUp));
    await listening();
    return {
      wake: wakeUp,
      async sleep(ms) {
        // Lost meanwhile: listen again, and go on by asking.
        void listening();
        if (!woken)
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, ms);
            resume = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        resume = undefined;
        woken = false;
      },
      leave: () => leave(topics, wakeUp),
    };
  }

  return {
    publish(topic) {
      wake(topic);
      unsent.add(topic);
      const due = lastNotify + NOTIFY_EVERY_MS - performance.now();
      if (due <= 0 && notifying === undefined) notify();
      else notifying ??= setTimeout(notify, Math.max(due, 0));
    },

    async waitFor(topics, seconds, signal, attempt) {
      const end = performance.now() + seconds * 1000;
      const first = await attempt();
      if (first !== undefined || seconds === 0 || signal.aborted) return first;
      const { wake, sleep, leave } = await subscribe(...(typeof topics === "string" ? [topics] : topics()));
      signal.addEventListener("abort", wake, { once: true });
      try {
        for (;;) {
          // Also right after listening began: what was sent in between was announced to nobody here.
          const found = await attempt();
          const left = end - performance.now();
          if (found !== undefined || left <= 0 || signal.aborted) return found;
          await sleep(Math.min(left, POLL_MS));
        }
      } finally {
        signal.removeEventListener("abort", wake);
        await leave();
      }
    },

    subscribe,

    async close() {
      clearTimeout(notifying);
      await stopListening();
    },
  };
}
