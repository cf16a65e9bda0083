import type { Bench, Context } from "./support/bench.ts";
import type { BenchDatabase } from "./support/database.ts";
import { fillInboxes } from "./support/rows.ts";
import { type Case, measure } from "./support/turns.ts";

const AGENTS = 64;

/** What a task costs from its submission to its end, with nothing before it and with much in other hands. */
export const tasks: Bench = {
  name: "tasks",
  summary:
    "submit into a pool, claim, complete: 64 agents of one definition; old: 1 M finished tasks (quick: 20 k) and 5,000 in " +
    "other hands",
  async run(context) {
    const young = await ageOf(context, "", 0, 0);
    const old = await ageOf(context, ", old", context.quick ? 20_000 : 1_000_000, 5_000);
    const cases: Case[] = [1, 16].flatMap((lanes) => {
      const plain = young.at(lanes);
      const aged = old.at(lanes);
      return [plain, { ...aged, yardsticks: [...aged.yardsticks, plain.measured] }];
    });
    return measure(cases, context.rounds, context.progress);
  },
};

async function ageOf(context: Context, label: string, finished: number, working: number) {
  context.progress(`filling${label}`);
  const database = await context.database();
  await fillInboxes(database, AGENTS + 1);
  await fill(database, finished, working);
  const service = await context.service(database);
  const options = { agents: AGENTS };
  const http = await context.load("tasks", "viaHttp", { url: service.url, ...options });
  const pg = await context.load("tasks", "viaPg", { url: database.url, ...options });
  return {
    at: (lanes: number): Case => ({
      what: `submit + claim + complete, ${lanes} connections${label}`,
      unit: "tasks/s",
      measured: { name: "young", turn: () => http.turn(lanes, context.turnMs, service) },
      yardsticks: [{ name: "three bare commits", turn: () => pg.turn(lanes, context.turnMs) }],
    }),
  };
}

const DOCUMENT = {
  kind: "Agent",
  metadata: { id: "bench", version: "1.0.0" },
  config: { enabled: true, maxParallelTasks: 100, timeoutSeconds: 3600, autoRetry: true },
};

/** A definition with its agents, one of which has `working` tasks of the pool in its hands. */
async function fill(database: BenchDatabase, finished: number, working: number): Promise<void> {
  const document = JSON.stringify(DOCUMENT);
  await database.sql(`
    begin;
    insert into cams.definitions (definition_id, kind, current_version, current_source, highest_version, created_at,
      created_by, updated_at, updated_by)
    values ('bench', 'Agent', '1.0.0', 'api', '1.0.0', now(), 'bench', now(), 'bench');
    insert into cams.definition_versions (definition_id, version, document, content_hash, status, source, created_at,
      created_by, published_at, published_by)
    values ('bench', '1.0.0', '${document}', repeat('0', 64), 'PUBLISHED', 'api', now(), 'bench', now(), 'bench');
    insert into cams.agents (agent_id, name, type, state, definition_id, definition_version, ai_agent_address,
      max_concurrent_tasks, created_at, created_by, updated_at, updated_by)
    select 'agent-' || n, 'Agent ' || n, 'bench', 'RUNNING', 'bench', '1.0.0', 'agent-' || n || '@bench.example', 100, now(),
      'bench', now(), 'bench'
    from generate_series(1, ${AGENTS + 1}) n;
    insert into cams.tasks (task_id, pool, agent_id, definition_id, type, payload, priority, cause_kind, timeout_seconds,
      max_attempts, submitted_at, submitted_by, rank_at, available_at, attempt, lease_token, lease_seconds, leased_at,
      lease_until, deadline_at)
    select uuidv7(), 'bench', 'agent-${AGENTS + 1}', 'bench', 'bench', '{}', 3, 'MANUAL', 86400, 3, now(), 'bench', now(),
      now() + interval '1 day', 1, gen_random_uuid(), 3600, now(), now() + interval '1 hour', now() + interval '1 hour'
    from generate_series(1, ${working}) n;
    commit`);
  if (finished > 0)
    await database.fill(
      "cams.task_archive",
      finished,
      (from, to) => `
        insert into cams.task_archive (task_id, seq, pool, agent_id, definition_id, definition_version, type, payload,
          priority, cause_kind, depends_on, timeout_seconds, max_attempts, submitted_at, submitted_by, attempt, started_at,
          attempts, state, finished_at)
        select uuidv7(), n, 'bench', 'agent-1', 'bench', '1.0.0', 'bench', '{}', 3, 'MANUAL', '{}', 300, 3, now(), 'bench', 1,
          now(), '[]', 'COMPLETED', now()
        from generate_series(${from}, ${to}) n`,
    );
  await database.sql("vacuum analyze cams.tasks, cams.agents, cams.definitions, cams.definition_versions");
}
