import type { Subscription } from "../db/hints.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Outcome } from "../outbound/destination.ts";
import type { Due, Leased } from "../repository/deliveries.ts";
import type { Repository } from "../repository/index.ts";
import { Places } from "../rules/fairness.ts";
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

/** Calls of webhooks on their way: with payloads of 256 KiB and what is made of them 100 MB, and as many sockets. */
const CALLS = 112;
/** Publishes on their way, each with up to 6 MB and what is made of them. */
const PUBLISHES = 4;
/** Most messages leased for one publish. */
const PUBLISHED = 1000;
/** Inboxes looked at in one go. */
const PAGE = 200;
/** So many pages of inboxes that wait for room are looked at before the next attempt must have come to its end. */
const FRUITLESS_PAGES = 5;
/** What no hint announces, such as the end of a back-off, is found by asking this often. */
const POLL_MS = 1_000;
/** What was due and could not be leased: somebody else has it, or is just changing its inbox. */
const CONTENDED_MS = 50;
/** At the end of the process attempts have this long to come to theirs, and 5 s more to be recorded. */
const GRACE_MS = 3_000;
/** Longest that a run without a time of its own goes on. */
const MOST_SECONDS = 50;

/**
 * Delivers what is due until `seconds` have passed or `signal` aborts; with 0 until nothing is due. Any number may run
 * at once, here and elsewhere.
 * @throws Problem when the database is away to the end
 */
export type Dispatch = (seconds: number, signal: AbortSignal) => Promise<Deliveries>;

export function createDispatcher({ queue, send, subscribe, log, metrics }: Dependencies): Dispatch {
  const places = {
    HTTP_ENDPOINT: new Places(CALLS),
    GCP_PUBSUB_TOPIC: new Places(PUBLISHES),
    PULL_QUEUE: new Places(0),
  };

  async function attempt(messages: readonly Leased[], recorder: Recorder, interruption: AbortSignal): Promise<void> {
    const [{ type, destination }] = messages as [Leased];
    const host = hostOf(type, destination);
    const start = performance.now();
    let answered = false;
    places[type].begin(host);
    try {
      const outcomes = await send(messages, interruption);
      const milliseconds = performance.now() - start;
      answered = outcomes.some(({ delivered }) => delivered);
      metrics.deliveryAttempt(type, answered ? "delivered" : "failed", milliseconds / 1000);
      await Promise.all(
        messages.map((message, index) => {
          const outcome = outcomes[index] as Outcome;
          const attempted = { ...message, milliseconds, ...outcome };
          if (outcome.delivered) return recorder.delivered(attempted);
          if (outcome.interrupted) return recorder.interrupted(attempted);
          logFailure(message, outcome);
          return recorder.failed(attempted);
        }),
      );
    } finally {
      places[type].end(host, answered);
    }
  }

  function logFailure({ messageId, recipientAddress, attempt }: Leased, { statusCode, detail, gone }: Outcome): void {
    log.info("delivery failed", { messageId, address: recipientAddress, attempt, statusCode, detail });
    if (gone) log.warning("inbox deactivated: its destination is gone", { address: recipientAddress });
  }

  /** What there is room for in inboxes of one type. */
  function share(type: Due["type"], due: readonly Due[]): { address: string; take: number }[] {
    const inboxes = due.filter((inbox) => inbox.type === type && inbox.due);
    const most = type === "HTTP_ENDPOINT" ? CALLS : 1;
    const wishes = inboxes.map(({ destination, failing }) => ({
      host: hostOf(type, destination),
      most: failing ? 1 : most,
    }));
    const attempts = places[type].shareOut(wishes);
    return inboxes.flatMap(({ address }, index) => {
      const take = (attempts[index] ?? 0) * (type === "HTTP_ENDPOINT" ? 1 : PUBLISHED);
      return take > 0 ? [{ address, take }] : [];
    });
  }

  /** Leases what there is room for in the inboxes; answers it in the groups in which it is sent. */
  async function lease(due: readonly Due[]): Promise<Leased[][]> {
    const wanted = [...share("HTTP_ENDPOINT", due), ...share("GCP_PUBSUB_TOPIC", due)];
    if (wanted.length === 0) return [];
    const groups = Map.groupBy(await queue.claim(wanted), ({ type, recipientAddress, messageId }) =>
      type === "HTTP_ENDPOINT" ? messageId : recipientAddress,
    );
    return [...groups.values()];
  }

  return async (seconds, signal) => {
    const end = performance.now() + (seconds || MOST_SECONDS) * 1000;
    const { sleep, wake, leave } = await subscribe();
    const crew = createCrew(signal, wake, log);
    const recorder = createRecorder(queue, crew.interruption, log, metrics);

    /** Looks at the inboxes with something due behind `after`, and sets out with what there is room for. */
    async function look(after: string): Promise<Look> {
      if (places.HTTP_ENDPOINT.free + places.GCP_PUBSUB_TOPIC.free === 0)
        return { due: 0, begun: 0, last: after || undefined };
      const page = await queue.due(after, PAGE);
      let begun = 0;
      for (const { address, stuck } of page) if (stuck) begun += await queue.unblock(address);
      const groups = await lease(page);
      for (const group of groups) crew.add(attempt(group, recorder, crew.interruption));
      const last = page.length === PAGE ? page.at(-1)?.address : undefined;
      return { due: page.length, begun: begun + groups.length, last };
    }

    let failure: unknown;
    const unlessPassing = (error: unknown) => {
      if (seconds === 0 || !isPassing(error)) throw error;
      failure = error;
      return { due: 0, begun: 0, last: undefined };
    };
    try {
      const round = createRound();
      for (let after = ""; performance.now() < end && !signal.aborted; ) {
        failure = undefined;
        // Asked before: what ends while the database is looked through may have made room for the next of its line.
        const quiet = crew.size() === 0;
        const page = await look(after).catch(unlessPassing);
        after = page.last ?? "";
        const { due, over, tired } = round.add(page);
        if (over && due === 0 && seconds === 0 && quiet) break;
        const patience = due > 0 && crew.size() === 0 ? CONTENDED_MS : POLL_MS;
        if (tired) await sleep(Math.max(0, Math.min(patience, end - performance.now())));
      }
    } finally {
      await crew.end();
      await leave();
    }
    if (failure !== undefined) throw failure;
    return recorder.done;
  };
}

/** What a page of inboxes with something due brought; `last` is where the next page begins, if there is one. */
interface Look {
  due: number;
  begun: number;
  last: string | undefined;
}

/**
 * Counts the pages of a round. It goes round and round, so those of a page that had no room come before those in front;
 * `tired` when a whole round, or several pages in a row, found nothing to begin with.
 */
function createRound() {
  let [due, begun, fruitless] = [0, 0, 0];
  return {
    add(page: Look): { due: number; over: boolean; tired: boolean } {
      due += page.due;
      begun += page.begun;
      fruitless = page.begun > 0 ? 0 : fruitless + 1;
      const over = page.last === undefined;
      const told = { due, over, tired: over ? begun === 0 : fruitless >= FRUITLESS_PAGES };
      if (over) [due, begun] = [0, 0];
      if (over || told.tired) fruitless = 0;
      return told;
    },
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
