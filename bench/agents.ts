import type { Bench, Context } from "./support/bench.ts";
import type { BenchDatabase } from "./support/database.ts";
import { fillInboxes } from "./support/rows.ts";
import { type Case, measure } from "./support/turns.ts";

const LANES = 8;
/** Of 500 values that each of these has, one is asked for; words are two, of which the second is rarer. */
const QUERIES = [
  "type=type-#",
  "state=FAILED",
  "healthy=false",
  "definitionId=bench-#",
  "ownerTeam=team-#",
  "tag=tag-#",
  "capability=can-#",
  "q=agent+department#",
  "q=depart",
];

/** Pages of searches, and counts, over many agents. */
export const agents: Bench = {
  name: "agents",
  summary: "GET /v1/agents, a page of 50, one filter each, of 100 k agents (quick: 5 k); 8 connections",
  async run(context) {
    const database = await context.database();
    await fill(context, database);
    const service = await context.service(database);
    const bare = await context.load("agents", "viaPg", { url: database.url, query: "" });
    const yardstick = { name: "bare page of a type", turn: () => bare.turn(LANES, context.turnMs) };
    const cases: Case[] = [];
    for (const query of context.quick ? QUERIES.slice(0, 2) : QUERIES) {
      const http = await context.load("agents", "viaHttp", { url: service.url, query });
      cases.push({
        what: query,
        unit: "pages/s",
        measured: { name: query, turn: () => http.turn(LANES, context.turnMs) },
        yardsticks: [yardstick],
      });
    }
    return measure(cases, context.rounds, context.progress);
  },
};

async function fill(context: Context, database: BenchDatabase): Promise<void> {
  const count = context.quick ? 5_000 : 100_000;
  context.progress(`registering ${count} agents`);
  await fillInboxes(database, count);
  await database.sql(
    `update cams.agent_inboxes set owner_team = 'team-' || substring(ai_agent_address from '\\d+')::integer % 500,
       health_status = case when substring(ai_agent_address from '\\d+')::integer % 500 = 7 then 'UNHEALTHY' else 'HEALTHY' end`,
  );
  await database.fill(
    "cams.agents",
    count,
    (from, to) => `
      insert into cams.agents (agent_id, name, type, description, state, metadata, tags, capabilities, definition_id,
        definition_version, ai_agent_address, created_at, created_by, updated_at, updated_by)
      select 'agent-' || n, 'Agent number ' || n, 'type-' || n % 500, 'Does the work of department' || n % 500,
        case when n % 500 = 9 then 'FAILED' else 'RUNNING' end, jsonb_build_object('region', 'r' || n % 20),
        array['tag-' || n % 500, 'all'], array['can-' || n % 500, 'talk'], 'bench-' || n % 500, '1.0.0',
        'agent-' || n || '@bench.example', now() - n * interval '1 s', 'bench', now(), 'bench'
      from generate_series(${from}, ${to}) n`,
  );
  await database.sql("vacuum analyze cams.agent_inboxes");
}
