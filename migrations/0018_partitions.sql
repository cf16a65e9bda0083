-- Up Migration

-- Archives of finished rows are cut by time: into days, or into months where rows are fewer and kept longer. These take
-- the place of those that knew the messages' alone.
drop function cams.try_make_message_partitions(integer);
drop function cams.drop_message_partition(text, integer);
drop function cams.old_message_partitions(integer);
drop function cams.make_message_partitions(integer);

-- Makes the partitions of an archive from today to `days` ahead and answers how many are new. The lock lets two starters
-- meet: the second waits and finds everything made.
create function cams.make_partitions(archive text, days integer) returns integer
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

-- As make_partitions, but null when the archive is in use: a new partition locks the default one.
create function cams.try_make_partitions(archive text, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms'
as $$
begin
  return cams.make_partitions(archive, days);
exception when lock_not_available then
  return null;
end
$$;

-- The partitions of which even the last moment is `kept_days` past, oldest first. Judged by their bounds, not by their
-- names; the default one has none. Whatever the argument, no time is old before its day is over.
create function cams.old_partitions(archive text, kept_days integer) returns setof text
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

-- Drops one of them: true when it did, false when the archive is in use, null when it is not old (or gone already).
-- Whoever needs the archive queues behind what waits here. Three locks are waited for (archive, partition, default one),
-- together less than the 5 s that a caller's statement has, and each longer than the 1 s after which a vacuum gives way.
create function cams.drop_partition(archive text, name text, kept_days integer) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms'
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.' || archive, 7261));
  if not exists (select from cams.old_partitions(archive, kept_days) old where old = name) then
    return null;
  end if;
  execute format('drop table cams.%I', name);
  return true;
exception when lock_not_available then
  return false;
end
$$;

grant execute on function cams.make_partitions(text, integer), cams.try_make_partitions(text, integer),
  cams.old_partitions(text, integer), cams.drop_partition(text, text, integer) to cams_system;

-- Down Migration

drop function cams.drop_partition(text, text, integer);
drop function cams.old_partitions(text, integer);
drop function cams.try_make_partitions(text, integer);
drop function cams.make_partitions(text, integer);

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

create function cams.old_message_partitions(kept_days integer) returns setof text
language sql stable strict set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
  select partition.relname
  from pg_inherits i
  join pg_class partition on partition.oid = i.inhrelid
  cross join lateral (
    select substring(pg_get_expr(partition.relpartbound, partition.oid) from 'TO \(''([^'']+)''\)')::timestamptz as ends
  ) bounds
  where i.inhparent = 'cams.message_archive'::regclass
    and ends <= least(now() - make_interval(days => kept_days), date_trunc('day', now()))
  order by ends
$$;

create function cams.drop_message_partition(name text, kept_days integer) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms'
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.message_archive', 7261));
  if not exists (select from cams.old_message_partitions(kept_days) old where old = name) then
    return null;
  end if;
  execute format('drop table cams.%I', name);
  return true;
exception when lock_not_available then
  return false;
end
$$;

create function cams.try_make_message_partitions(days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms'
as $$
begin
  return cams.make_message_partitions(days);
exception when lock_not_available then
  return null;
end
$$;

grant execute on function cams.make_message_partitions(integer), cams.try_make_message_partitions(integer),
  cams.old_message_partitions(integer), cams.drop_message_partition(text, integer) to cams_system;
