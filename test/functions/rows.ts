import type { Service } from "../support/service.ts";

/** Makes live messages past the service, many at once; each column is SQL over `n`, which counts from `from` + 1. */
export async function insertMessages(
  { sql }: Pick<Service, "sql">,
  address: string,
  count: number,
  columns: Record<string, string> = {},
  from = 0,
): Promise<void> {
  const all = {
    message_id: "cams.uuid7(now())",
    sender_address: "'sender@corp.example'",
    message_type: "'message'",
    payload: `'{"n": 0}'::json`,
    priority: "3",
    time_to_live_seconds: "3600",
    accepted_at: "now()",
    rank_at: "now()",
    available_at: "now()",
    expires_at: "now() + interval '1 h'",
    ...columns,
  };
  await sql(
    `insert into cams.messages (recipient_address, ${Object.keys(all).join(", ")})
     select $1, ${Object.values(all).join(", ")} from generate_series($2::integer + 1, $2 + $3) n`,
    [address, from, count],
  );
}

/** Makes inboxes past the service and its audit, at `<prefix>1` and on; each column is SQL over `n`. */
export async function insertInboxes(
  { sql }: Pick<Service, "sql">,
  count: number,
  columns: Record<string, string> = {},
  prefix = "a",
): Promise<void> {
  const all = {
    ai_agent_address: `'${prefix}' || n`,
    inbox_destination_type: "'PULL_QUEUE'",
    inbox_name: "'a'",
    registration_timestamp: "now()",
    last_updated_timestamp: "now()",
    updated_by: "'test'",
    ...columns,
  };
  await sql(
    `begin; set local session_replication_role = replica;
     insert into cams.agent_inboxes (${Object.keys(all).join(", ")})
     select ${Object.values(all).join(", ")} from generate_series(1, ${count}) n;
     commit`,
  );
}

/** Columns of an inbox that reported last at a time (SQL over `n`), every minute until then. */
export function reportedAt(time: string): Record<string, string> {
  return {
    health_status: "'HEALTHY'",
    last_health_check_timestamp: time,
    expected_by: `${time} + interval '60 s'`,
    sweep_after: `${time} + interval '120 s'`,
  };
}

/** What a sweep answers that finds nothing to do. */
export const nothing = {
  suspected: 0,
  offline: 0,
  expired: 0,
  deadLettered: 0,
  locksReleased: 0,
  tasksReturned: 0,
  tasksTimedOut: 0,
  tasksFailed: 0,
  agentsDrained: 0,
  frozen: false,
};
