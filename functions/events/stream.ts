import { Problem } from "../../shared/errors.ts";
import { type Call, defineEndpoint } from "../../shared/http/endpoint.ts";
import { matchesPattern } from "../../shared/rules/event-patterns.ts";
import { comparePositions, type Position, readPosition, writePosition } from "../../shared/rules/event-positions.ts";
import { EventStream, FollowEvents } from "../../shared/schemas/event-stream.ts";
import { eventTail, type Follower } from "../../shared/services/event-tail.ts";

/** Something is written at least so often: proxies cut off what is silent, some after a minute. */
const SILENCE_MS = 15_000;
/** Characters after which what has come together is written. */
const PIECE = 64 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export const eventsStream = defineEndpoint({
  name: "events-stream",
  method: "GET",
  path: "/v1/events/stream",
  summary: "Follow the log of events (server-sent events)",
  description:
    "Every event that is published, in the order of the log, none left out and none twice: first what was published " +
    "since the event that `Last-Event-ID` names, then what comes, as it comes. The stream ends after an hour at the " +
    "latest; whoever connects again with the last `id` misses nothing, as an EventSource does by itself.",
  role: "agent",
  needs: { follow: eventTail },
  query: FollowEvents,
  status: 200,
  returns: EventStream,
  contentType: "text/event-stream",
  errors: ["position_expired"],
  runtime: { timeoutSeconds: 3600, concurrency: 500, maxInstances: 2, poolSize: 2, listens: true },
  handler: async ({ query: { type, after }, lastEventId, repo, signal, services }) => {
    const now = await repo.events.positionNow();
    const oldest = now.at - services.eventRetentionDays * DAY_MS;
    const from =
      lastEventId === undefined ? await beginning(repo, after, now, oldest) : resumed(lastEventId, now, oldest);
    const follow = () => services.follow(repo.events, from, now, signal);
    return written(follow, from, type, signal);
  },
});

type Now = Awaited<ReturnType<Call["repo"]["events"]["positionNow"]>>;

async function beginning(repo: Call["repo"], after: string | undefined, now: Now, oldest: number): Promise<Position> {
  const at = after === undefined ? Number.POSITIVE_INFINITY : Date.parse(after);
  return at >= now.at ? now : repo.events.positionAt(new Date(Math.max(at, oldest)));
}

function resumed(lastEventId: string, now: Now, oldest: number): Position {
  const position = readPosition(lastEventId);
  if (!position) {
    const errors = [{ pointer: "", message: "Last-Event-ID must be the id of an event of this stream" }];
    throw new Problem("invalid_request", "Last-Event-ID cannot be read.", { errors });
  }
  // Of transactions that are still to come there are no events yet: the place is in the log of another database, as
  // after a restoration, and waiting for it here could take for ever.
  const isForeign = comparePositions({ ...position, seq: 0 }, { at: 0, transaction: now.horizon, seq: 0 }) > 0;
  if (position.at >= oldest && !isForeign) return position;
  throw new Problem("position_expired", "Events were lost to this stream: begin without Last-Event-ID, or by `after`.");
}

/** The stream as text; it follows from when it is first read. */
async function* written(follow: () => Follower, from: Position, pattern: string | undefined, signal: AbortSignal) {
  const follower = follow();
  try {
    let [told, written] = [from, performance.now()];
    // Whoever is cut off before the first event knows already where to go on.
    yield `retry: 1000\nid: ${writePosition(from)}\n\n`;
    while (!signal.aborted) {
      const silent = Math.max(0, written + SILENCE_MS - performance.now());
      const { events, position } = await follower.next(silent);
      let piece = "";
      for (const event of events) {
        if (pattern !== undefined && !matchesPattern(pattern, event.type)) continue;
        piece += `id: ${writePosition(event.position)}\ndata: ${event.data}\n\n`;
        told = event.position;
        if (piece.length < PIECE) continue;
        yield piece;
        piece = "";
        written = performance.now();
      }
      if (piece === "" && performance.now() - written >= SILENCE_MS) {
        // Of the same place too: by its time it is told from places that are no longer kept.
        const isOn = comparePositions(told, position) < 0 || told.at < position.at;
        piece = isOn ? `:\nid: ${writePosition(position)}\n\n` : ":\n\n";
        told = position;
      }
      if (piece === "") continue;
      yield piece;
      written = performance.now();
    }
  } finally {
    await follower.leave();
  }
}
