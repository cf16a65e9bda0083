import { messageTo } from "./loads/send.ts";
import type { Bench, Context } from "./support/bench.ts";
import { addressOf, fillInboxes } from "./support/rows.ts";
import { type Contender, measure, type Turn } from "./support/turns.ts";

const INBOXES = 1000;
/** PostgreSQL waits so long before each flush, in microseconds: nearer to a cloud disk than to this machine's. */
const SLOW_DISK = { commit_delay: "2000", commit_siblings: "0" };

/** Durable sends: what the service adds to one insert, and how many of them share a commit. */
export const send: Bench = {
  name: "send",
  summary: "POST /v1/messages to any of 1,000 inboxes; the slow disk takes 2 ms for a flush (commit_delay)",
  async run(context) {
    const plain = await diskOf(context, {}, "");
    const slow = await diskOf(context, SLOW_DISK, ", slow disk");
    const body = messageTo(addressOf(1));
    const hello = await context.load("hello", "viaHttp", { url: await context.hello(), body });
    const framework = (lanes: number): Contender => ({
      name: "framework hello",
      turn: () => hello.turn(lanes, context.turnMs),
    });
    const cases = [
      ...[1, 16, 64].map((lanes) => plain.at(lanes, [framework(lanes)])),
      ...[1, 64].map((lanes) => slow.at(lanes, [])),
    ];
    return measure(cases, context.rounds, context.progress);
  },
};

async function diskOf(context: Context, settings: Record<string, string>, label: string) {
  context.progress(`starting${label}`);
  const database = await context.database(settings);
  await fillInboxes(database, INBOXES);
  const service = await context.service(database);
  const http = await context.load("send", "viaHttp", { url: service.url, inboxes: INBOXES });
  const pg = await context.load("send", "viaPg", { url: database.url, inboxes: INBOXES });

  /** Transactions that wrote, so far: each of them took one number. */
  async function written(): Promise<number> {
    const [row] = await database.sql<{ next: string }>("select pg_snapshot_xmax(pg_current_snapshot()) as next");
    return Number(row?.next);
  }

  async function turn(lanes: number): Promise<Turn> {
    const before = await written();
    const done = await http.turn(lanes, context.turnMs, service);
    const commits = ((await written()) - before) / done.units;
    return { ...done, extra: { ...done.extra, "commits/message": commits } };
  }

  return {
    at: (lanes: number, yardsticks: Contender[]) => ({
      what: `${lanes} connection${lanes > 1 ? "s" : ""}${label}`,
      unit: "messages/s",
      measured: { name: "send", turn: () => turn(lanes) },
      yardsticks: [{ name: "bare pg", turn: () => pg.turn(lanes, context.turnMs) }, ...yardsticks],
    }),
  };
}
