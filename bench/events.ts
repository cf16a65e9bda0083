import { TYPE } from "./loads/events.ts";
import type { Bench, Context } from "./support/bench.ts";
import { addressOf, fillInboxes } from "./support/rows.ts";
import { type Case, type Contender, measure } from "./support/turns.ts";

interface Subscription {
  eventType: string;
  filters?: Record<string, unknown>;
}

const LANES = [1, 16];
/** Three that fit, each another inbox: by name, by a wildcard, and by the filter too. */
const FITTING: readonly Subscription[] = [
  { eventType: TYPE },
  { eventType: "alert.*" },
  { eventType: "#", filters: { severity: ["critical", "high"], seconds: ">= 300" } },
];

/** Events of which three inboxes get a message: what those cost that do not want them. */
export const events: Bench = {
  name: "events",
  summary: "POST /v1/events of which three inboxes get a message, beside subscriptions to other types; or nobody does",
  async run(context) {
    const none = await subscribed(context, [], 0);
    const few = await subscribed(context, FITTING, 0);
    const many = await subscribed(context, FITTING, context.quick ? 500 : 10_000);
    const cases: Case[] = [];
    for (const lanes of LANES) {
      const alone: Contender = { name: "3 subscriptions", turn: () => few.http.turn(lanes, context.turnMs) };
      const bare: Contender = { name: "bare pg", turn: () => few.pg.turn(lanes, context.turnMs) };
      const at = `${lanes} connection${lanes > 1 ? "s" : ""}`;
      cases.push({ what: `3 subscriptions, ${at}`, unit: "events/s", measured: alone, yardsticks: [bare] });
      cases.push({
        what: `${many.count} subscriptions, ${at}`,
        unit: "events/s",
        measured: { name: "many", turn: () => many.http.turn(lanes, context.turnMs) },
        yardsticks: [alone, bare],
      });
      cases.push({
        what: `no subscriptions, ${at}: unhandled, and one more event says so`,
        unit: "events/s",
        measured: { name: "none", turn: () => none.http.turn(lanes, context.turnMs) },
        yardsticks: [alone],
      });
    }
    return measure(cases, context.rounds, context.progress);
  },
};

async function subscribed(context: Context, fitting: readonly Subscription[], others: number) {
  const database = await context.database();
  await fillInboxes(database, 100);
  for (const [n, { eventType, filters }] of fitting.entries())
    await database.sql(
      `insert into cams.subscriptions (event_type, filters, ai_agent_address, created_at, created_by)
       values ('${eventType}', ${filters ? `'${JSON.stringify(filters)}'` : "null"}, '${addressOf(n + 1)}', now(), 'bench')`,
    );
  // Neighbours of the type among them: what begins alike, and what differs only behind a wildcard.
  if (others > 0)
    await database.fill(
      "cams.subscriptions",
      others,
      (from, to) => `
        insert into cams.subscriptions (event_type, ai_agent_address, created_at, created_by)
        select (array['alert.other' || n, '*.kind' || n, 'alert.*.place' || n, 'build' || n || '.#'])[1 + n % 4],
          'agent-' || 4 + n % 90 || '@bench.example', now(), 'bench'
        from generate_series(${from}, ${to}) n`,
    );
  const service = await context.service(database);
  return {
    count: others + fitting.length,
    http: await context.load("events", "viaHttp", { url: service.url }),
    pg: await context.load("events", "viaPg", { url: database.url }),
  };
}
