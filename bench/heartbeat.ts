import type { Bench, Context, Row } from "./support/bench.ts";
import { simulateReports } from "./support/reports.ts";
import { fillInboxes } from "./support/rows.ts";
import { type Case, measure } from "./support/turns.ts";

const LANES = 64;

/** Health reports: how many, and what they leave behind in the table and in the sweep's index. */
export const heartbeat: Bench = {
  name: "heartbeat",
  summary:
    "POST /v1/agent-health-check over 10 k inboxes; growth by the repository's statement on a simulated clock, " +
    "vacuumed each simulated minute",
  async run(context) {
    const rates = await ratesOf(context);
    const growth: Row[] = [];
    // Watched for two intervals after a report: the horizon.
    for (const [label, perInterval] of [
      ["1 report per interval", 1],
      ["20 reports per horizon", 10],
      ["40 reports per horizon", 20],
    ] as const) {
      context.progress(label);
      growth.push(await growthOf(context, label, perInterval));
    }
    return [...rates, ...growth];
  },
};

async function ratesOf(context: Context): Promise<Row[]> {
  const database = await context.database();
  const inboxes = 10_000;
  await fillInboxes(database, inboxes, 60);
  const service = await context.service(database);
  const helloUrl = await context.hello();
  const hello = await context.load("hello", "viaHttp", {
    url: helloUrl,
    body: { aiAgentAddress: "a", status: "HEALTHY" },
  });
  const cases: Case[] = [];
  for (const [batch, lanes] of [
    [1, LANES],
    [100, 4],
  ] as const) {
    const http = await context.load("heartbeat", "viaHttp", { url: service.url, inboxes, batch });
    const pg = await context.load("heartbeat", "viaPg", { url: database.url, inboxes, batch });
    cases.push({
      what: batch === 1 ? `single, ${lanes} connections` : `batch of ${batch}, ${lanes} connections`,
      unit: "reports/s",
      measured: { name: "reports", turn: () => http.turn(lanes, context.turnMs, service) },
      yardsticks: [
        { name: "bare pg", turn: () => pg.turn(lanes, context.turnMs) },
        ...(batch === 1 ? [{ name: "framework hello", turn: () => hello.turn(lanes, context.turnMs) }] : []),
      ],
    });
  }
  return measure(cases, context.rounds, context.progress);
}

async function growthOf(context: Context, label: string, perInterval: number): Promise<Row> {
  const database = await context.database();
  const inboxes = context.quick ? 500 : 2000;
  const passes = context.quick ? 20 : 100;
  await fillInboxes(database, inboxes, 60);
  const traces = await simulateReports(database, inboxes, perInterval, passes);
  const [first, last] = [traces[0], traces.at(-1)];
  if (!first || !last) throw new Error("nothing was measured");
  return {
    what: `HOT share, ${label}`,
    unit: "%",
    value: Math.round(((last.hot - first.hot) / (last.updates - first.updates)) * 1000) / 10,
    yardsticks: [],
    extra: {
      "thousand reports": last.updates / 1000,
      "table kB after a quarter": first.table / 1024,
      "at the end": last.table / 1024,
      "sweep index kB after a quarter": first.index / 1024,
      "at its end": last.index / 1024,
    },
  };
}
