-- Up Migration

create table cams.message_archive (
  message_id uuid not null,
  seq bigint not null,
  recipient_address text not null,
  sender_address text not null,
  message_type text not null,
  payload json not null,
  metadata jsonb,
  priority smallint not null,
  time_to_live_seconds integer not null,
  ordering_key text,
  correlation_id text,
  in_reply_to uuid,
  reply_to_address text,
  sender_message_id text,
  traceparent text,
  accepted_at timestamptz(3) not null,
  available_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  attempt integer not null,
  lease_token uuid,
  first_leased_at timestamptz(3),
  attempts jsonb not null,
  status text not null,
  finished_at timestamptz(3) not null,
  delivered_at timestamptz(3),
  acknowledged_at timestamptz(3),
  dead_letter_reason text,

  constraint message_archive_key primary key (finished_at, message_id),
  constraint message_archive_status check (
    case status
      when 'ACKNOWLEDGED' then acknowledged_at is not null
      when 'DELIVERED' then delivered_at is not null
      when 'DEAD_LETTERED' then dead_letter_reason is not null
      else status in ('CANCELLED', 'EXPIRED')
    end
  )
) partition by range (finished_at);

-- One message by its id, the lists of a recipient or a sender (newest first), and one conversation.
create index message_archive_id on cams.message_archive (message_id);
create index message_archive_recipient on cams.message_archive (recipient_address, message_id);
create index message_archive_sender on cams.message_archive (sender_address, message_id);
create index message_archive_correlation on cams.message_archive (correlation_id, message_id)
  where correlation_id is not null;

create table cams.message_archive_default partition of cams.message_archive default;

-- Makes the daily partitions from today to `days` ahead and answers how many are new. The lock lets two starters
-- meet: the second waits and finds everything made.
create function cams.make_message_partitions(days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  today date := (now() at time zone 'UTC')::date;
  made integer := 0;
  day date;
  name text;
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.message_archive', 7261));
  for day in select today + n from generate_series(0, days) n loop
    name := 'message_archive_' || to_char(day, 'YYYYMMDD');
    continue when to_regclass('cams.' || name) is not null;
    begin
      execute format(
        'create table cams.%I partition of cams.message_archive for values from (%L) to (%L)',
        name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
      made := made + 1;
    exception when check_violation then
      -- Rows of that day are in the default partition already: it goes on serving them.
      raise warning 'messages of % are in message_archive_default', day;
    end;
  end loop;
  return made;
end
$$;

-- Down Migration

drop function cams.make_message_partitions(integer);
drop table cams.message_archive;
