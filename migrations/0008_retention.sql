-- Up Migration

-- The partitions of the archive of which even the last moment is `kept_days` past, oldest first. Judged by their bounds,
-- not by their names; the default one has none. Whatever the argument, no day is old before it is over.
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

-- Drops one of them: true when it did, false when the archive is in use, null when it is not old (or gone already).
-- Whoever needs the archive queues behind what waits here. Three locks are waited for (archive, partition, default one),
-- together less than the 5 s that a caller's statement has, and each longer than the 1 s after which a vacuum gives way.
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

-- As make_message_partitions, but null when the archive is in use: a new partition locks the default one.
create function cams.try_make_message_partitions(days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms'
as $$
begin
  return cams.make_message_partitions(days);
exception when lock_not_available then
  return null;
end
$$;

-- Down Migration

drop function cams.try_make_message_partitions(integer);
drop function cams.drop_message_partition(text, integer);
drop function cams.old_message_partitions(integer);
