import type { Bench, Context } from "./support/bench.ts";
import { fillInboxes, fillMessages, growOld } from "./support/rows.ts";
import { type Case, measure, type Turn } from "./support/turns.ts";

const PULLED = 8;
const PULLERS = 16;
/** Pullers that wait, each at an inbox of its own: enough for a p99, few enough to leave the processors idle. */
const WAITERS = 4;
/** Messages a turn starts with, by batch size: more than the bare claim takes in it. */
const STOCK: Record<number, number> = { 1: 4_000, 10: 12_000, 100: 20_000 };

/** What a queue may have to live with. */
interface Age {
  label: string;
  archived?: number;
  /** Statistics as of an empty table: what the planner knows of a queue just before a burst. */
  surprised?: boolean;
}

/** Pull and acknowledge, and how soon a waiting puller gets what is sent; then under what time does to a queue. */
export const pull: Bench = {
  name: "pull",
  summary:
    "16 pullers of 8 inboxes; old: 1 M archived messages (quick: 20 k) and a transaction open since the start; " +
    "burst: statistics of an empty table",
  async run(context) {
    const young = await ageOf(context, { label: "" });
    const old = await ageOf(context, { label: ", old", archived: context.quick ? 20_000 : 1_000_000 });
    const burst = await ageOf(context, { label: ", burst", surprised: true });
    const cases: Case[] = [];
    const add = (plain: Case, ...others: Case[]) => {
      const against = others.map((other) => ({ ...other, yardsticks: [...other.yardsticks, plain.measured] }));
      cases.push(plain, ...against);
    };
    for (const batch of context.quick ? [] : [1, 100]) add(await young.pulls(batch));
    add(await young.pulls(10), await old.pulls(10), await burst.pulls(10));
    add(await young.wakes(), await old.wakes());
    return measure(cases, context.rounds, context.progress);
  },
};

async function ageOf(context: Context, { label, archived = 0, surprised = false }: Age) {
  context.progress(`filling${label}`);
  const database = await context.database();
  await fillInboxes(database, PULLED + WAITERS);
  if (archived > 0) await growOld(context, database, PULLED, archived);
  const service = await context.service(database);
  // Between turns the queues are filled up again, which takes its time too.
  const turnMs = context.turnMs * 0.6;
  await database.sql("alter table cams.messages set (autovacuum_enabled = off)");
  let known = surprised;
  const stock = async (batch: number) => {
    await fillMessages(database, PULLED, Math.round((STOCK[batch] ?? 0) * Math.min(1, turnMs / 400)));
    if (!known) await database.sql("analyze cams.messages");
    known = true;
  };

  return {
    async pulls(batch: number): Promise<Case> {
      const http = await context.load("pull", "viaHttp", { url: service.url, inboxes: PULLED, batch });
      const pg = await context.load("pull", "viaPg", { url: database.url, inboxes: PULLED, batch });
      return {
        what: `pull + ack, batch ${batch}${label}`,
        unit: "messages/s",
        measured: {
          name: "young",
          async turn() {
            await stock(batch);
            return http.turn(PULLERS, turnMs, service);
          },
        },
        yardsticks: [
          {
            name: "bare claim",
            async turn() {
              await stock(batch);
              return pg.turn(PULLERS, turnMs);
            },
          },
        ],
      };
    },

    async wakes(): Promise<Case> {
      const firstInbox = PULLED + 1;
      const http = await context.load("wake", "viaHttp", { url: service.url, firstInbox });
      const pg = await context.load("wake", "viaPg", { url: database.url, firstInbox });
      const timed = ({ p50 = Number.NaN, p99 = Number.NaN }: Turn) => ({ value: p50, p50, p99 });
      return {
        what: `send → waiting puller${label}`,
        unit: "ms",
        measured: { name: "young", turn: async () => timed(await http.turn(WAITERS, turnMs)) },
        yardsticks: [{ name: "bare notify + claim", turn: async () => timed(await pg.turn(WAITERS, turnMs)) }],
      };
    },
  };
}
