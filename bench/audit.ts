import type { Bench, Context, Row } from "./support/bench.ts";
import type { BenchDatabase } from "./support/database.ts";
import { fillInboxes } from "./support/rows.ts";
import { type Case, measure } from "./support/turns.ts";

const INBOXES = 10_000;
const ENTRIES = { quick: 2_000, usual: 200_000 };

/** What it costs that every decision is recorded: beside the same without the audit's triggers. */
export const audit: Bench = {
  name: "audit",
  summary: "PUT /v1/agent-inboxes/{address} with and without the audit's triggers; GET /v1/audit/verify",
  async run(context) {
    const audited = await contendersOf(context, await filled(context));
    const bare = await contendersOf(context, await filled(context, withoutTriggers));
    const cases: Case[] = [1, 16].flatMap((lanes) => [
      {
        what: `decisions, ${lanes} connection${lanes > 1 ? "s" : ""}`,
        unit: "decisions/s",
        measured: audited.http("audited", lanes),
        yardsticks: [bare.http("not audited", lanes)],
      },
      {
        what: `bare update, ${lanes} connection${lanes > 1 ? "s" : ""}`,
        unit: "decisions/s",
        measured: audited.pg("audited", lanes),
        yardsticks: [bare.pg("not audited", lanes)],
      },
    ]);
    return [...(await measure(cases, context.rounds, context.progress)), await verification(context)];
  },
};

async function filled(context: Context, prepare: (database: BenchDatabase) => Promise<unknown> = async () => {}) {
  const database = await context.database();
  await fillInboxes(database, INBOXES);
  await prepare(database);
  return database;
}

async function withoutTriggers(database: BenchDatabase): Promise<void> {
  for (const trigger of ["agent_inboxes_audit", "agent_inboxes_audit_decisions"])
    await database.sql(`alter table cams.agent_inboxes disable trigger ${trigger}`);
}

async function contendersOf(context: Context, database: BenchDatabase) {
  const service = await context.service(database);
  const http = await context.load("audit", "viaHttp", { url: service.url, inboxes: INBOXES });
  const pg = await context.load("audit", "viaPg", { url: database.url, inboxes: INBOXES });
  return {
    http: (name: string, lanes: number) => ({ name, turn: () => http.turn(lanes, context.turnMs, service) }),
    pg: (name: string, lanes: number) => ({ name, turn: () => pg.turn(lanes, context.turnMs) }),
  };
}

/** One transaction makes the entries, so the time of that is a figure too. */
async function verification(context: Context): Promise<Row> {
  const entries = context.quick ? ENTRIES.quick : ENTRIES.usual;
  const database = await context.database();
  context.progress(`recording ${entries} decisions in one transaction`);
  const columns = "principal_id, role, created_at, updated_at, updated_by";
  const made = await timed(() =>
    database.sql(`
      insert into cams.principals (${columns})
      select 'principal-' || n, 'agent', now(), now(), 'bench' from generate_series(1, ${entries}) n`),
  );
  const service = await context.service(database);
  const verify = async () => {
    const answer = await fetch(`${service.url}/v1/audit/verify`);
    const { valid, checked } = (await answer.json()) as { valid: boolean; checked: number };
    if (!valid || checked !== entries) throw new Error(`verified ${checked}: ${valid}`);
  };
  await verify();
  const verified = await timed(verify);
  const scanned = await timed(() => database.sql("select sum(length(entry::text)) from cams.audit_log"));
  return {
    what: `verify ${entries} entries`,
    unit: "ms",
    value: rounded(verified),
    yardsticks: [{ name: "one scan of them", value: rounded(scanned), ratio: rounded(verified / scanned) }],
    extra: { "µs an entry made": rounded((made * 1000) / entries) },
  };
}

const rounded = (value: number) => Math.round(value * 10) / 10;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
