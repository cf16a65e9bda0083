import type { Subscription } from "../db/hints.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Outcome } from "../outbound/destination.ts";
import type { Due, Leased } from "../repository/deliveries.ts";
import type { Repository } from "../repository/index.ts";
import { shareOut, Windows } from "../rules/fairness.ts";
import { createRecorder, type Deliveries, isPassing, type Recorder } from "./recorder.ts";
import type { Send } from "./sender.ts";

interface Dependencies {
  queue: Repository["deliveries"];
  send: Send;
  /** Hints that something may be due. */
  subscribe(): Promise<Subscription>;
  log: Logger;
  metrics: Metrics;
}

/** Places for attempts on their way: a call to a webhook takes one, a publish with its megabytes eight. */
const PLACES = 128;
const WEIGHT = { HTTP_ENDPOINT: 1, GCP_PUBSUB_TOPIC: 8, PULL_QUEUE: 0 };
/** Most messages leased for one publish. */
const PUBLISHED = 1000;
/** Inboxes looked at in one go. */
const PAGE = 200;
/** What no hint announces, such as the end of a back-off, is found by asking this often. */
const POLL_MS = 1_000;
/** What was due and could not be leased: somebody else has it, or is just changing its inbox. */
const CONTENDED_MS = 50;
/** At the end of the process attempts have this long to come to theirs; Cloud Run gives 10 s in all. */
const GRACE_MS = 4_000;
/** Longest that a run without a time of its own goes on. */
const MOST_SECONDS = 50;

/**
 * Delivers what is due until `seconds` have passed or `signal` aborts; with 0 until nothing is due. Any number may run
 * at once, here and elsewhere.
 * @throws Problem when the database is away to the end
 */
export type Dispatch = (seconds: number, signal: AbortSignal) => Promise<Deliveries>;

export function createDispatcher({ queue, send, subscribe, log, metrics }: Dependencies): Dispatch {
  const windows = new Windows();
  let busy = 0;

  async function attempt(messages: readonly Leased[], recorder: Recorder, interruption: AbortSignal): Promise<void> {
    const [{ type, destination }] = messages as [Leased];
    const host = hostOf(type, destination);
    const start = performance.now();
    windows.begin(host);
    busy += WEIGHT[type];
    try {
      const outcomes = await send(messages, interruption);
      const milliseconds = performance.now() - start;
      const answered = outcomes.some(({ delivered }) => delivered);
      windows.end(host, answered);
      metrics.deliveryAttempt(type, answered ? "delivered" : "failed", milliseconds / 1000);
      await Promise.all(
        messages.map((message, index) => {
          const outcome = outcomes[index] as Outcome;
          const attempted = { ...message, milliseconds, ...outcome };
          if (outcome.delivered) return recorder.delivered(attempted);
          if (interruption.aborted) return recorder.interrupted(attempted);
          logFailure(message, outcome);
          return recorder.failed(attempted);
        }),
      );
    } finally {
      busy -= WEIGHT[type];
    }
  }

  function logFailure({ messageId, recipientAddress, attempt }: Leased, { statusCode, detail, gone }: Outcome): void {
    log.info("delivery failed", { messageId, address: recipientAddress, attempt, statusCode, detail });
    if (gone) log.warning("inbox deactivated: its destination is gone", { address: recipientAddress });
  }

  /** Leases what there is room for in the inboxes; answers it in the groups in which it is sent. */
  async function lease(due: readonly Due[]): Promise<Leased[][]> {
    const wishes = due.map(({ type, destination, failing }) => ({
      host: hostOf(type, destination),
      most: failing || type === "GCP_PUBSUB_TOPIC" ? 1 : PLACES,
      weight: WEIGHT[type],
    }));
    const attempts = shareOut(wishes, PLACES - busy, windows);
    const wanted = due.flatMap(({ address, type, failing }, index) => {
      const take = (attempts[index] ?? 0) * (type === "GCP_PUBSUB_TOPIC" && !failing ? PUBLISHED : 1);
      return take > 0 ? [{ address, take }] : [];
    });
    if (wanted.length === 0) return [];
    const leased = await queue.claim(wanted);
    const groups = Map.groupBy(leased, ({ type, destination, messageId }) =>
      type === "GCP_PUBSUB_TOPIC" ? destination : messageId,
    );
    return [...groups.values()];
  }

  return async (seconds, signal) => {
    const end = performance.now() + (seconds || MOST_SECONDS) * 1000;
    const recorder = createRecorder(queue, log, metrics);
    const { sleep, wake, leave } = await subscribe();
    const crew = createCrew(signal, wake, log);

    /**
     * Goes through the inboxes with something due that stand after `start`; answers how many there were, how much was
     * begun, and where the next round should start: of more than a page those in front must not always be served first.
     */
    async function round(start: string) {
      let [due, begun, next] = [0, 0, ""];
      for (let after: string | undefined = start; after !== undefined && busy < PLACES; ) {
        const page: Due[] = await queue.due(after, PAGE);
        const groups = await lease(page);
        for (const group of groups) crew.add(attempt(group, recorder, crew.interruption));
        due += page.length;
        begun += groups.length;
        const last: string | undefined = page.length === PAGE ? page.at(-1)?.address : undefined;
        if (after === start) next = last ?? "";
        after = last;
      }
      return { due, begun, next };
    }

    let failure: unknown;
    const unlessPassing = (error: unknown) => {
      if (seconds === 0 || !isPassing(error)) throw error;
      failure = error;
      return { due: 0, begun: 0, next: "" };
    };
    try {
      for (let start = ""; performance.now() < end && !signal.aborted; ) {
        failure = undefined;
        const { due, begun, next } = await round(start).catch(unlessPassing);
        const whole = start === "";
        start = next;
        if (begun > 0 || !whole) continue;
        if (seconds === 0 && due === 0 && crew.size() === 0) break;
        const patience = due > 0 && crew.size() === 0 ? CONTENDED_MS : POLL_MS;
        await sleep(Math.max(0, Math.min(patience, end - performance.now())));
      }
    } finally {
      await crew.end();
      await leave();
    }
    if (failure !== undefined) throw failure;
    return recorder.done;
  };
}

/** The attempts on their way; each wakes the run when it ends, and the run's abort when it begins. */
function createCrew(signal: AbortSignal, wake: () => void, log: Logger) {
  const underway = new Set<Promise<void>>();
  const interruption = new AbortController();
  const onAbort = () => {
    wake();
    setTimeout(() => interruption.abort(), GRACE_MS).unref();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return {
    /** Aborts when there is no time left to wait for answers. */
    interruption: interruption.signal,
    size: () => underway.size,
    add(attempt: Promise<void>) {
      const attempted = attempt
        .catch((error) => log.error("an attempt broke off: its lease will run out", { error }))
        .finally(() => {
          underway.delete(attempted);
          wake();
        });
      underway.add(attempted);
    },
    async end() {
      await Promise.all(underway);
      signal.removeEventListener("abort", onAbort);
    },
  };
}

/** What shares a limit: a topic, or everything behind one host and port. */
function hostOf(type: Due["type"], destination: string): string {
  return type === "HTTP_ENDPOINT" && URL.canParse(destination) ? new URL(destination).host : destination;
}
