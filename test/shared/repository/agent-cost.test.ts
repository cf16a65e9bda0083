import { describe, expect, test } from "vitest";
import type { AgentFilter } from "../../../shared/schemas/agent.ts";
import { type Planned, usePlannedDatabase } from "./database.ts";
import { execute, statementOf } from "./plans.ts";

const AGENTS = 100_000;

/** Agents of which each filter below means 100 to 500; the rest of them are as frequent as such things are. */
async function fill({ sql }: Planned): Promise<void> {
  await sql(`
    begin; set local session_replication_role = replica;
    insert into cams.definitions (definition_id, kind, current_version, current_source, highest_version, created_at,
      created_by, updated_at, updated_by)
    select 'def-' || n, 'Agent', '1.0.0', 'api', '1.0.0', now(), 'test', now(), 'test' from generate_series(0, 499) n;
    insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, health_status,
      last_health_check_timestamp, expected_by, sweep_after, owner_team, registration_timestamp, last_updated_timestamp,
      updated_by, quarantined_at)
    select 'a' || n, 'PULL_QUEUE', 'a' || n, case when n % 500 = 7 then 'UNHEALTHY' else 'HEALTHY' end, now(),
      case when n % 1000 = 8 then now() - interval '2 min' else now() + interval '1 day' end,
      case when n % 1000 = 8 then now() - interval '1 min' else now() + interval '1 day' end,
      'team-' || n % 500, now() - n * interval '1 s', now(), 'test',
      case when n % 500 = 11 then now() end
    from generate_series(1, ${AGENTS}) n;
    insert into cams.agents (agent_id, name, type, description, state, metadata, tags, capabilities, definition_id,
      definition_version, ai_agent_address, created_at, created_by, updated_at, updated_by)
    select 'a' || n, 'Agent number ' || n, 'type-' || n % 500, 'Does what is asked of it in the department ' || n % 500,
      case when n % 500 = 9 then 'FAILED' else 'RUNNING' end, jsonb_build_object('region', 'r' || n % 20),
      array['tag-' || n % 500, 'all'], array['can-' || n % 500, 'talk'], 'def-' || n % 500, '1.0.0', 'a' || n,
      now() - n * interval '1 s', 'test', now(), 'test'
    from generate_series(1, ${AGENTS}) n;
    commit`);
  await sql("vacuum analyze cams.agents, cams.agent_inboxes");
}

const database = usePlannedDatabase(fill);

const cursor = Buffer.from(JSON.stringify(["2026-01-01T00:00:00.000Z", "a5"])).toString("base64url");
const filters: [filter: Partial<ReturnType<typeof AgentFilter.parse>>, ...indexes: string[]][] = [
  [{}, "agents_newest"],
  [{ pageToken: cursor }, "agents_newest"],
  [{ type: "type-3" }, "agents_type_newest"],
  [{ state: "FAILED" }, "agents_state_newest"],
  [{ healthy: true }, "agents_newest"],
  [{ healthy: false }, "agent_inboxes_health", "agent_inboxes_sweep"],
  [{ quarantined: true }, "agent_inboxes_quarantined"],
  [{ quarantined: false }, "agents_newest"],
  [{ definitionId: "def-3" }, "agents_definition_newest"],
  [{ ownerTeam: "team-3" }, "agent_inboxes_team_newest"],
  [{ tag: "tag-3" }, "agents_tags"],
  [{ capability: "can-3" }, "agents_capabilities"],
  [{ q: "number 4711" }, "agents_words"],
  [{ q: "depart 471" }, "agents_words"],
  [{ type: "type-3", state: "RUNNING", tag: "all" }, "agents_type_newest"],
];

describe("of 100,000 agents", () => {
  test.each(filters)("those with %j are found by an index", async (filter, ...indexes) => {
    const statement = await statementOf((repo) => repo.agents.list({ pageSize: 50, ...filter }));
    // Or a plan that was made for a tag of all would be used for one that few have.
    expect(statement.byValues).toBe(true);
    const executed = await execute(database.url, statement, "force_custom_plan");
    for (const index of indexes) expect(executed.indexes, executed.plan).toContain(index);
    for (const table of ["agents", "agent_inboxes"])
      for (const { type, rows } of executed.scansOf(table)) {
        expect(type, executed.plan).not.toBe("Seq Scan");
        expect(rows, executed.plan).toBeLessThan(2500);
      }
  });
});
