import { type Sql, sql } from "../db/sql.ts";
import { MAX_HEAD_START_SECONDS } from "../rules/priority.ts";

/** What a live and an archived row (`m`) have in common, as the API shows it. */
const common = sql`
  m.message_id as "messageId", m.recipient_address as "recipientAddress", m.sender_address as "senderAddress",
  m.message_type as "messageType", m.payload, m.metadata,
  (array['CRITICAL', 'HIGH', 'NORMAL', 'LOW'])[m.priority] as priority,
  m.time_to_live_seconds as "timeToLiveSeconds", m.ordering_key as "orderingKey",
  m.correlation_id as "correlationId", m.in_reply_to as "inReplyTo", m.reply_to_address as "replyToAddress",
  m.sender_message_id as "senderMessageId", m.traceparent, m.accepted_at as "acceptedAt",
  m.expires_at as "expiresAt", m.attempt, m.first_leased_at as "firstLeasedAt"`;

/** The status a live row has in effect, whether or not a sweep came by. */
export const liveStatus = (now: Sql): Sql => sql`
  case
    when m.ends_at <= ${now} then case when m.last_attempt then 'DEAD_LETTERED' else 'EXPIRED' end
    when m.lease_token is not null and m.available_at > ${now} then 'LEASED'
    else 'QUEUED'
  end`;

/** What came of the attempt that the leased row `m` is in; without `milliseconds` it took as long as the lease was held. */
interface Attempt {
  outcome: Sql;
  detail?: Sql;
  statusCode?: Sql;
  milliseconds?: Sql;
}

const NOTHING = sql`null`;
const heldFor = (now: Sql): Sql => sql`
  floor(extract(epoch from least(${now}, m.available_at) - m.leased_at) * 1000)`;

/** The receipts of a row `m`, its attempt included if it is in one. */
export const attemptsWith = (
  now: Sql,
  { outcome, detail = NOTHING, statusCode = NOTHING, milliseconds = heldFor(now) }: Attempt,
): Sql => sql`
  case when m.lease_token is null then m.attempts else m.attempts || jsonb_strip_nulls(jsonb_build_object(
    'number', m.attempt, 'at', cams.iso(m.leased_at), 'outcome', ${outcome}, 'detail', ${detail}::text,
    'statusCode', ${statusCode}::integer,
    'milliseconds', ${milliseconds}::bigint)) end`;

/** The receipts of a live row, its open or lapsed lease included. */
const liveAttempts = (now: Sql): Sql =>
  attemptsWith(now, {
    outcome: sql`case when m.available_at > ${now} then 'LEASED' else 'LEASE_EXPIRED' end`,
    milliseconds: sql`case when m.available_at <= ${now} then ${heldFor(now)} end`,
  });

/** Due now in an inbox: free of its ordering key, not waiting, not ended. A rank further ahead than LOW's is not due. */
export const dueNow = (now: Sql, recipient: Sql): Sql => sql`
  m.recipient_address = ${recipient} and not m.blocked
  and m.rank_at <= ${now} + make_interval(secs => ${MAX_HEAD_START_SECONDS}::integer)
  and m.available_at <= ${now} and m.ends_at > ${now}`;

/** A live row as a message. */
export const liveMessage = (now: Sql): Sql => sql`
  ${common}, ${liveStatus(now)} as status, ${liveAttempts(now)} as attempts,
  case when m.ends_at > ${now} then m.available_at end as "availableAt",
  case when m.ends_at <= ${now} then m.ends_at end as "finishedAt",
  case when m.ends_at <= ${now} and m.last_attempt then 'attempts_exhausted' end as "deadLetterReason",
  null::timestamptz as "deliveredAt", null::timestamptz as "acknowledgedAt"`;

/** An archived row as a message. */
export const archivedMessage = sql`
  ${common}, m.status, m.attempts, null::timestamptz as "availableAt", m.finished_at as "finishedAt", m.dead_letter_reason as "deadLetterReason",
  m.delivered_at as "deliveredAt", m.acknowledged_at as "acknowledgedAt"`;

/** A row just leased, as its puller gets it. */
export const pulledMessage = (now: Sql): Sql => sql`
  ${liveMessage(now)}, m.message_id || '.' || m.lease_token as "leaseToken", m.available_at as "leaseExpiresAt"`;

/**
 * CTE `line`: locks the ordering keys of the rows of `source` (recipient_address, ordering_key) in one order for all.
 * Whatever sends to or ends the heads of several lines at once does it first, where it waits for `linesLocked`: the
 * triggers would take the same locks in the order of the rows, and two such statements would deadlock.
 */
export const lockLines = (source: Sql): Sql => sql`
  line as materialized (
    select cams.lock_message_line(recipient_address, ordering_key)
    from (
      select distinct recipient_address, ordering_key from ${source} where ordering_key is not null order by 1, 2
    ) sorted
  )`;
/** A condition that is judged before the first row, and only when every row of `line` is made. */
export const linesLocked = sql`(select count(*) from line) >= 0`;

/** How one finished row is recorded: expressions over the live row `m`, and what `join` puts beside it. */
interface Ending extends Attempt {
  status: Sql;
  join?: Sql;
  deliveredAt?: Sql;
  acknowledgedAt?: Sql;
  deadLetterReason?: Sql;
}

/**
 * CTEs `finished` and `archived` that move the live rows named by the CTE `ending` (message_id) to the archive:
 * whatever finishes a message does it with these, in the statement that decides it.
 */
export function finish(
  now: Sql,
  {
    status,
    join = sql``,
    deliveredAt = NOTHING,
    acknowledgedAt = NOTHING,
    deadLetterReason = NOTHING,
    ...attempt
  }: Ending,
): Sql {
  return sql`
    finished as (
      -- An array, not a join: however many they are thought to be, the table is not read through for them.
      delete from cams.messages m
      where m.message_id = any (array(select message_id from ending))
      returning m.*
    ), archived as (
      insert into cams.message_archive (
        message_id, seq, recipient_address, sender_address, message_type, payload, metadata, priority,
        time_to_live_seconds, ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id,
        traceparent, accepted_at, available_at, expires_at, attempt, lease_token, first_leased_at, attempts,
        status, finished_at, delivered_at, acknowledged_at, dead_letter_reason)
      select
        message_id, seq, recipient_address, sender_address, message_type, payload, metadata, priority,
        time_to_live_seconds, ordering_key, correlation_id, in_reply_to, reply_to_address, sender_message_id,
        traceparent, accepted_at, available_at, expires_at, attempt, lease_token, first_leased_at,
        ${attemptsWith(now, attempt)},
        -- Not before it began, or no look-up by the time in its id would find it: a deletion that waited for the send
        -- has the older clock.
        ${status}, greatest(${now}, accepted_at), ${deliveredAt}::timestamptz, ${acknowledgedAt}::timestamptz,
        ${deadLetterReason}
      from finished m ${join}
      returning message_id, status
    )`;
}
