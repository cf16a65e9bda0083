-- Up Migration

create sequence cams.event_arrival;

-- What happened, for a time: each event as it was published.
create table cams.events (
  event_id uuid not null,
  -- Its place for those who follow the log. Neither ids nor arrivals come in the order of their commits; below the oldest
  -- running transaction nothing is to come any more.
  transaction_id xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('cams.event_arrival'),
  published_at timestamptz(3) not null,
  published_by text not null,
  -- The CloudEvent.
  source text not null,
  id text not null,
  type text not null,
  subject text,
  time timestamptz not null,
  datacontenttype text,
  dataschema text,
  extensions jsonb,
  data json,
  data_base64 text,
  priority smallint not null,
  traceparent text,
  -- Whether its subscribers have it. What is published has been matched before it is here; what happens in CAMS itself
  -- waits for it when somebody may want it.
  routed boolean not null,
  messages integer not null default 0,
  tasks integer not null default 0,
  -- Of what the service itself says nobody need want to know.
  unhandled boolean not null generated always as (routed and messages + tasks = 0 and source not in ('/cams', '/v1/events')) stored,

  constraint events_key primary key (published_at, event_id),
  constraint events_priority check (priority between 1 and 4),
  constraint events_data check (num_nonnulls(data, data_base64) < 2)
) partition by range (published_at);

alter sequence cams.event_arrival owned by cams.events.seq;

-- One event by its id, and the list, newest first.
create index events_id on cams.events (event_id);
-- Those who follow.
create index events_place on cams.events (transaction_id, seq);
-- The list of a type (or of those that begin alike), of a source, of a subject, and of what nobody got.
create index events_type on cams.events (type collate "C", event_id);
create index events_source on cams.events (source, event_id);
create index events_subject on cams.events (subject, event_id) where subject is not null;
create index events_unhandled on cams.events (event_id) where unhandled;
-- What is still to be matched.
create index events_unrouted on cams.events (published_at) where not routed;

create table cams.events_default partition of cams.events default;

-- A CloudEvent is known by its source and id: published again it is the same event, and gets the same answer.
create table cams.event_keys (
  source text not null,
  id text not null,
  event_id uuid not null,
  content_hash bytea not null,
  messages integer not null,
  tasks integer not null,
  kept_until timestamptz(3) not null,
  constraint event_keys_key primary key (source, id)
);
-- Retention: what is over.
create index event_keys_kept_until on cams.event_keys (kept_until);

-- Every pattern that matches an event's type: each segment as it is or `*`, from any segment on `#`. Patterns with a
-- wildcard have eight segments at most beside a `#` at the end, so these are 767 at most.
create function cams.event_patterns(type text) returns text[]
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
  segments text[] := string_to_array(type, '.');
  most integer := least(cardinality(segments), 8);
  heads text[] := array[''];
  longer text[];
  head text;
  patterns text[] := array['#', type];
begin
  -- Loops over expressions, not queries over arrays: those took 0.3 ms.
  for n in 1..most loop
    longer := '{}';
    foreach head in array heads loop
      longer := longer || (head || segments[n] || '.') || (head || '*.');
    end loop;
    heads := longer;
    foreach head in array heads loop
      patterns := patterns || (head || '#');
    end loop;
  end loop;
  if cardinality(segments) = most then
    foreach head in array heads loop
      if left(head, -1) <> type then
        patterns := patterns || left(head, -1);
      end if;
    end loop;
  end if;
  return patterns;
end
$$;

-- A subscription without a priority leaves the event its own.
alter table cams.subscriptions alter column priority drop not null;
-- What an agent's owner subscribes is its own decision.
grant insert (subscription_id, event_type, filters, priority, ai_agent_address, definition_id, owner_team, created_at, created_by)
  on cams.subscriptions to cams_agent;
grant select, delete on cams.subscriptions to cams_agent;
grant select on cams.subscriptions to cams_system;

-- Of these definitions those that are in force, each with its current version, held so until the end of the transaction:
-- none is retired or changed before the tasks that are being made for it are there. Of a row that another was changing this
-- is what it has become, which the rest of the statement does not see. For those who may not lock definitions.
create function cams.hold_pools(ids text[]) returns table (definition_id text, version text)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select d.definition_id, d.current_version from cams.definitions d
  where d.definition_id = any (ids) and d.current_status = 'PUBLISHED'
  order by d.definition_id
  for key share
$$;

-- Which archives there are, and into what their rows are cut.
create function cams.partition_step(archive text) returns interval
language sql immutable parallel safe
as $$
  select case archive
    when 'message_archive' then interval '1 day' when 'task_archive' then interval '1 month' when 'events' then interval '1 day' end
$$;

create or replace function cams.make_partitions(archive text, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
  step interval := cams.partition_step(archive);
  made integer := 0;
  first timestamptz;
  name text;
begin
  if step is null then
    raise exception '% is no archive', archive;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('cams.' || archive, 7261));
  for first in
    select generate_series(date_trunc(case step when '1 day' then 'day' else 'month' end, now()),
      now() + make_interval(days => days), step)
  loop
    name := archive || '_' || to_char(first, case step when '1 day' then 'YYYYMMDD' else 'YYYYMM' end);
    continue when to_regclass('cams.' || name) is not null;
    begin
      execute format('create table cams.%I partition of cams.%I for values from (%L) to (%L)',
        name, archive, first, first + step);
      made := made + 1;
    exception when check_violation or invalid_object_definition then
      -- Rows of that time are in the default partition already, which goes on serving them, or a partition of another
      -- name has it: the next ones are made all the same.
      raise warning '% is not made: %', name, sqlerrm;
    end;
  end loop;
  return made;
end
$$;
create or replace function cams.old_partitions(archive text, kept_days integer) returns setof text
language sql stable strict set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
  select partition.relname
  from pg_inherits i
  join pg_class partition on partition.oid = i.inhrelid
  cross join lateral (
    select substring(pg_get_expr(partition.relpartbound, partition.oid) from 'TO \(''([^'']+)''\)')::timestamptz as ends
  ) bounds
  where i.inhparent = ('cams.' || archive)::regclass and cams.partition_step(archive) is not null
    and ends <= least(now() - make_interval(days => kept_days), date_trunc('day', now()))
  order by ends
$$;

grant select, insert, update (routed, messages, tasks) on cams.events to cams_agent, cams_operator, cams_system;
grant usage on sequence cams.event_arrival to cams_agent, cams_operator, cams_system;
grant select, insert, update on cams.event_keys to cams_agent, cams_system;
grant delete on cams.event_keys, cams.events, cams.events_default to cams_system;
grant select, update (seq) on cams.events_default to cams_system;
grant execute on function cams.partition_step(text) to cams_system;
grant execute on function cams.event_patterns(text), cams.hold_pools(text[]) to cams_agent, cams_operator, cams_system;
grant execute on function cams.partition_step(text) to cams_system;
-- Who matches events sends what comes of them.
grant insert on cams.tasks to cams_operator, cams_system;
grant usage on sequence cams.task_arrival to cams_operator, cams_system;
grant select on cams.definitions to cams_system;

-- Down Migration

revoke select on cams.definitions from cams_system;
grant select (definition_id, current_version) on cams.definitions to cams_system;
revoke usage on sequence cams.task_arrival from cams_operator, cams_system;
revoke insert on cams.tasks from cams_operator, cams_system;
revoke select on cams.subscriptions from cams_system;
revoke all on cams.subscriptions from cams_agent;
-- A table with triggers that wait for the commit, as the audit's do, cannot be altered.
set constraints all immediate;
update cams.subscriptions set priority = 3 where priority is null;
alter table cams.subscriptions alter column priority set not null;

create or replace function cams.make_partitions(archive text, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
  step interval := case archive when 'message_archive' then '1 day' when 'task_archive' then '1 month' end;
  made integer := 0;
  first timestamptz;
  name text;
begin
  if step is null then
    raise exception '% is no archive', archive;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('cams.' || archive, 7261));
  for first in
    select generate_series(date_trunc(case step when '1 day' then 'day' else 'month' end, now()),
      now() + make_interval(days => days), step)
  loop
    name := archive || '_' || to_char(first, case step when '1 day' then 'YYYYMMDD' else 'YYYYMM' end);
    continue when to_regclass('cams.' || name) is not null;
    begin
      execute format('create table cams.%I partition of cams.%I for values from (%L) to (%L)',
        name, archive, first, first + step);
      made := made + 1;
    exception when check_violation or invalid_object_definition then
      -- Rows of that time are in the default partition already, which goes on serving them, or a partition of another
      -- name has it: the next ones are made all the same.
      raise warning '% is not made: %', name, sqlerrm;
    end;
  end loop;
  return made;
end
$$;
create or replace function cams.old_partitions(archive text, kept_days integer) returns setof text
language sql stable strict set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
  select partition.relname
  from pg_inherits i
  join pg_class partition on partition.oid = i.inhrelid
  cross join lateral (
    select substring(pg_get_expr(partition.relpartbound, partition.oid) from 'TO \(''([^'']+)''\)')::timestamptz as ends
  ) bounds
  where i.inhparent = ('cams.' || archive)::regclass and archive in ('message_archive', 'task_archive')
    and ends <= least(now() - make_interval(days => kept_days), date_trunc('day', now()))
  order by ends
$$;

drop function cams.partition_step(text);
drop table cams.event_keys;
drop table cams.events;
drop function cams.hold_pools(text[]);
drop function cams.event_patterns(text);
