import { type Sql, sql } from "../db/sql.ts";
import { FIRST_PAUSE_SECONDS, JITTER, LONGEST_PAUSE_SECONDS } from "../rules/backoff.ts";
import { attemptsWith, finish, linesLocked, lockLines } from "./message-rows.ts";

/** What begins an attempt at the live row `m`: a lease; one before it that ran out gets its receipt. */
export const leasing = (now: Sql, seconds: Sql, maxDeliveryAttempts: Sql): Sql => sql`
  lease_token = gen_random_uuid(), leased_at = ${now}, available_at = ${now} + make_interval(secs => ${seconds}),
  first_leased_at = coalesce(m.first_leased_at, ${now}),
  attempt = m.attempt + 1, last_attempt = m.attempt + 1 >= ${maxDeliveryAttempts},
  attempts = ${attemptsWith(now, { outcome: sql`'LEASE_EXPIRED'` })}`;

/** What makes a lease undone: it does not count as an attempt. */
export const givenBack = (now: Sql): Sql => sql`
  lease_token = null, leased_at = null, last_attempt = false, attempt = m.attempt - 1, available_at = ${now}`;

/** When the next attempt may begin after `failures` failed ones; `seconds`, where it is not null, overrides. */
export const retryAt = (now: Sql, failures: Sql, seconds: Sql = sql`null`): Sql => sql`
  ${now} + make_interval(secs => coalesce(${seconds}::float8,
    least(${LONGEST_PAUSE_SECONDS}::float8, ${FIRST_PAUSE_SECONDS}::float8 * 2 ^ least(${failures} - 1, 10))
      * (1 - ${JITTER}::float8 + 2 * ${JITTER}::float8 * random())))`;

/** Why and how an attempt failed: expressions over the live row `m`, and what `join` puts beside it. */
interface Failure {
  detail: Sql;
  statusCode?: Sql;
  milliseconds?: Sql;
  retryAfterSeconds: Sql;
  join?: Sql;
}

/**
 * CTE `done` (message_id, dead): the rows in `held` (message_id, last_attempt, and their line) have failed. They wait for their next
 * attempt, or end as dead letters when it was their last.
 */
export function failing(now: Sql, { retryAfterSeconds, join = sql``, ...failure }: Failure): Sql {
  const failed = { outcome: sql`'FAILED'`, ...failure };
  return sql`
    dying as (
      select * from held where last_attempt
    ), ${lockLines(sql`dying`)}, ending as (
      select message_id from dying where ${linesLocked}
    ), ${finish(now, {
      ...failed,
      join,
      status: sql`'DEAD_LETTERED'`,
      deadLetterReason: sql`'attempts_exhausted'`,
    })}
    , returned as (
      update cams.messages m set
        lease_token = null, leased_at = null,
        available_at = ${retryAt(now, sql`m.attempt`, retryAfterSeconds)},
        attempts = ${attemptsWith(now, failed)}
      from held ${join}
      where m.message_id = held.message_id and not held.last_attempt
      returning m.message_id
    ), done as (
      select message_id, true as dead from finished union all select message_id, false from returned
    )`;
}
