import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FOLLOWING, statesOf, verbsFor } from "../../../shared/rules/agent-states.ts";
import { AgentState } from "../../../shared/schemas/agent.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { run } from "../../support/global-setup.ts";

const states = AgentState.options;

describe("what can be told", () => {
  test.each<[AgentState, string[]]>([
    ["CREATED", ["start", "stop", "restart"]],
    ["RUNNING", ["stop", "drain", "pause", "restart"]],
    ["PAUSED", ["stop", "resume", "restart"]],
    ["DRAINING", ["stop", "restart"]],
    ["STOPPED", ["start"]],
    ["FAILED", ["start", "stop", "restart"]],
  ])("%s: %j", (state, verbs) => {
    expect(verbsFor(state)).toEqual(verbs);
  });

  test("leads only along what may follow", () => {
    const steps = states.flatMap((from) =>
      verbsFor(from).map((verb) => [from, ...(statesOf(verb, from) as readonly AgentState[])]),
    );
    expect(steps.length).toBeGreaterThan(10);
    for (const path of steps)
      for (const [at, to] of path.slice(1).entries()) expect(FOLLOWING[path[at] as AgentState]).toContain(to);
  });
});

describe("the database", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  test("lets those of the 36 changes of state pass that the rules name, and records each; no other", async () => {
    const { rows } = await run(
      database.url,
      `create function pg_temp.try(from_state text, to_state text) returns text language plpgsql as $$
       declare recorded text;
       begin
         set local session_replication_role = replica;
         update cams.agents set state = from_state;
         delete from cams.agent_transitions;
         set local session_replication_role = origin;
         update cams.agents set state = to_state, updated_by = 'somebody', state_reason = 'why';
         select string_agg(concat_ws(' ', t.from_state, t.to_state, t.reason, t.actor), ', ') into recorded
         from cams.agent_transitions t;
         return coalesce(recorded, 'nothing');
       exception when check_violation then
         return 'refused';
       end $$;
       insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
         last_updated_timestamp, updated_by) values ('a', 'PULL_QUEUE', 'a', now(), now(), 'test');
       insert into cams.agents (agent_id, name, type, ai_agent_address, created_at, created_by, updated_at, updated_by)
       values ('a', 'a', 't', 'a', now(), 'test', now(), 'test');
       select f as "from", t as "to", pg_temp.try(f, t) as outcome
       from unnest('{${states}}'::text[]) f cross join unnest('{${states}}'::text[]) t`,
    ).then((results) => (Array.isArray(results) ? results.at(-1) : results));
    expect(rows).toHaveLength(36);
    for (const { from, to, outcome } of rows as { from: AgentState; to: AgentState; outcome: string }[]) {
      const expected = FOLLOWING[from].includes(to) ? `${from} ${to} why somebody` : "refused";
      expect([from, to, outcome]).toEqual([from, to, from === to ? "nothing" : expected]);
    }
  });
});
