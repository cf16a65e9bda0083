-- Up Migration

create schema if not exists cams;

-- A UUIDv7 (RFC 9562) with the database's time, because PostgreSQL has its own only from 18 on.
create function cams.uuid7(at timestamptz) returns uuid
language sql volatile parallel safe
as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;

-- The time inside a UUIDv7: bounds the partitions in which its row can be.
create function cams.uuid7_time(id uuid) returns timestamptz
language sql immutable strict parallel safe
as $$
  select to_timestamp(('x0000' || translate(left(id::text, 13), '-', ''))::bit(64)::bigint / 1000.0)
$$;

-- RFC 3339 with milliseconds in UTC, as the API writes every time; for times kept inside jsonb.
create function cams.iso(at timestamptz) returns text
language sql immutable strict parallel safe
as $$
  select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Down Migration

drop function cams.iso(timestamptz);
drop function cams.uuid7_time(uuid);
drop function cams.uuid7(timestamptz);
