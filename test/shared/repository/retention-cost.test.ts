import { beforeAll, describe, expect, test } from "vitest";
import type { Repository } from "../../../shared/repository/index.ts";
import { usePlannedDatabase } from "./database.ts";
import { execute, planModes, statementOf } from "./plans.ts";

// Of each 50,000 rows the first 20,000 may go.
const database = usePlannedDatabase(async ({ sql }) => {
  const past = "now() + make_interval(secs => n - 20000)";
  await sql(`
    insert into cams.idempotency_keys select 'p', 'f', n::text, '', null, ${past} from generate_series(1, 50000) n`);
  await sql(`
    insert into cams.message_keys select 's', n::text, gen_random_uuid(), '', 'a', now(), now(), ${past}
    from generate_series(1, 50000) n`);
  await sql(`
    insert into cams.health_transitions
      (ai_agent_address, at, from_health_status, to_health_status, from_status, to_status)
    select 'a', ${past} - interval '30 days', 'UNKNOWN', 'HEALTHY', 'ACTIVE', 'ACTIVE'
    from generate_series(1, 50000) n`);
  await sql(`
    insert into cams.agent_transitions (agent_id, ai_agent_address, at, to_state, actor)
    select 'a', 'a', ${past} - interval '365 days', 'CREATED', 'test' from generate_series(1, 50000) n`);
  await sql(`
    insert into cams.message_archive (message_id, seq, recipient_address, sender_address, message_type, payload, priority,
      time_to_live_seconds, accepted_at, available_at, expires_at, attempt, attempts, status, finished_at)
    select gen_random_uuid(), n, 'a', 'b', 'm', '0', 3, 60, now(), now(), now(), 1, '[]', 'EXPIRED',
      ${past} - interval '30 days'
    from generate_series(1, 50000) n`);
  await sql(`
    insert into cams.task_archive (task_id, seq, type, payload, priority, cause_kind, depends_on, timeout_seconds,
      max_attempts, submitted_at, submitted_by, attempt, attempts, state, finished_at)
    select gen_random_uuid(), n, 't', '0', 3, 'MANUAL', '{}', 60, 1, now(), 's', 0, '[]', 'CANCELLED',
      ${past} - interval '365 days'
    from generate_series(1, 50000) n`);
});

const jobs: [string, string, (repo: Repository) => Promise<unknown>][] = [
  ["idempotency_keys", "idempotency_keys_kept_until", ({ retention }) => retention.deleteIdempotencyKeys(1000)],
  ["message_keys", "message_keys_kept_until", ({ retention }) => retention.deleteMessageKeys(1000)],
  ["health_transitions", "health_transitions_key", ({ retention }) => retention.deleteHealthTransitions(30)(1000)],
  ["agent_transitions", "agent_transitions_key", ({ retention }) => retention.deleteAgentTransitions(365)(1000)],
  [
    "message_archive_default",
    "message_archive_default_pkey",
    ({ retention }) => retention.deleteDefaultPartitionRows("message_archive", 30)(1000),
  ],
  [
    "task_archive_default",
    "task_archive_default_pkey",
    ({ retention }) => retention.deleteDefaultPartitionRows("task_archive", 365)(1000),
  ],
];

describe.each(["before any statistics", "with statistics"])("%s", (when) => {
  beforeAll(async () => {
    if (when === "with statistics") await database.sql("analyze");
  });

  describe.each(planModes)("%s", (mode) => {
    test.each(jobs)("a slice of %s reads the oldest 1,000 by %s, and no other", async (table, index, job) => {
      const executed = await execute(database.url, await statementOf(job), mode);
      expect(executed.indexes, executed.plan).toEqual([index]);
      expect(
        executed.scansOf(table).map(({ rows }) => rows),
        executed.plan,
      ).toEqual([1000, 1000]);
    });
  });
});
