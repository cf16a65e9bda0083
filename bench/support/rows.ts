import type { Context } from "./bench.ts";
import type { BenchDatabase } from "./database.ts";

/** The nth inbox's address. */
export const addressOf = (number: number): string => `agent-${number}@bench.example`;

/** Registers inboxes 1 to `count`: healthy, watched, and not due for `dueInSeconds`. */
export function fillInboxes(database: BenchDatabase, count: number, dueInSeconds = 86_400): Promise<void> {
  return database.fill(
    "cams.agent_inboxes",
    count,
    (from, to) => `
      insert into cams.agent_inboxes (
        ai_agent_address, inbox_destination_type, inbox_name, health_status, last_health_check_timestamp,
        expected_by, sweep_after, registration_timestamp, last_updated_timestamp, updated_by)
      select
        'agent-' || n || '@bench.example', 'PULL_QUEUE', 'agent-' || n, 'HEALTHY', now(),
        now() + make_interval(secs => ${dueInSeconds}), now() + make_interval(secs => ${dueInSeconds} + 60),
        now() - n * interval '1 s', now(), 'bench'
      from generate_series(${from}, ${to}) n`,
  );
}

/** Columns that a message needs, and an expression for each over `n`, for inboxes 1 to `inboxes`. */
const messageColumns = (inboxes: number): Record<string, string> => ({
  message_id: "uuidv7()",
  recipient_address: `'agent-' || (1 + n % ${inboxes}) || '@bench.example'`,
  sender_address: "'sender@bench.example'",
  message_type: "'message'",
  payload: `'{"hello":"world"}'`,
  priority: "3",
  time_to_live_seconds: "604800",
  accepted_at: "now()",
  available_at: "now()",
  expires_at: "now() + interval '7 days'",
});

/** Tops up the live messages of inboxes 1 to `inboxes` to `count` in all. */
export async function fillMessages(database: BenchDatabase, inboxes: number, count: number): Promise<void> {
  const columns: Record<string, string> = { ...messageColumns(inboxes), rank_at: "now() + interval '120 s'" };
  await database.sql(`
    insert into cams.messages (${Object.keys(columns).join(", ")})
    select ${Object.values(columns).join(", ")}
    from generate_series(1, ${count} - (select count(*) from cams.messages)) n`);
}

/** What time does to a queue: `archived` acknowledged messages, and a transaction that is open from now to the end. */
export async function growOld(context: Context, database: BenchDatabase, inboxes: number, archived: number) {
  await fillArchive(database, inboxes, archived);
  const elder = await database.client();
  context.defer(() => elder.end());
  await elder.query("set idle_in_transaction_session_timeout = 0");
  await elder.query("begin isolation level repeatable read");
  await elder.query("select count(*) from cams.agent_inboxes");
}

/** Adds `count` acknowledged messages of inboxes 1 to `inboxes` to the archive. */
function fillArchive(database: BenchDatabase, inboxes: number, count: number): Promise<void> {
  const columns: Record<string, string> = {
    ...messageColumns(inboxes),
    seq: "n",
    attempt: "1",
    attempts: "'[]'",
    status: "'ACKNOWLEDGED'",
    finished_at: "now()",
    acknowledged_at: "now()",
  };
  const insert = (from: number, to: number) => `
    insert into cams.message_archive (${Object.keys(columns).join(", ")})
    select ${Object.values(columns).join(", ")} from generate_series(${from}, ${to}) n`;
  return database.fill("cams.message_archive", count, insert);
}
