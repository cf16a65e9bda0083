-- Up Migration

create sequence cams.message_arrival;

-- Live messages only: what finishes moves to cams.message_archive in the statement that finishes it.
create table cams.messages (
  message_id uuid not null,
  seq bigint not null default nextval('cams.message_arrival'),
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
  rank_at timestamptz(3) not null,
  available_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  blocked boolean not null default false,
  attempt integer not null default 0,
  last_attempt boolean not null default false,
  lease_token uuid,
  leased_at timestamptz(3),
  first_leased_at timestamptz(3),
  attempts jsonb not null default '[]',
  -- When this message ends if nothing more happens: a lease in progress outlives the expiry, the last attempt's
  -- lease is the end of it. Reads, claims and the sweep all judge by this one column.
  ends_at timestamptz(3) not null generated always as (
    case
      when lease_token is null then expires_at
      when last_attempt then available_at
      else greatest(expires_at, available_at)
    end
  ) stored,

  constraint messages_key primary key (message_id),
  constraint messages_priority check (priority between 1 and 4),
  constraint messages_lease_is_whole check ((lease_token is null) = (leased_at is null)),
  constraint messages_last_attempt_is_leased check (not last_attempt or lease_token is not null),
  constraint messages_blocked_has_key check (not blocked or ordering_key is not null)
)
-- Claims rewrite the row without touching an indexed column, and every row is deleted soon: room for HOT, and a
-- vacuum after 1,000 dead rows whatever the size, because dead rows, not depth, are what slows a queue.
with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000);

alter sequence cams.message_arrival owned by cams.messages.seq;

-- Claim in rank order, and count what is pending; rows that wait behind their ordering key are stepped over whole.
create index messages_claim on cams.messages (recipient_address, blocked, rank_at, seq);
-- The next of an ordering key. The key stands first, here and in the next: an index that began with the recipient
-- could be chosen to walk through all the lines of one.
create index messages_line on cams.messages (ordering_key, recipient_address, seq) where ordering_key is not null;
-- The rule of ordering keys: at most one message of a key is free to be handed out.
create unique index messages_one_head_per_line on cams.messages (ordering_key, recipient_address)
  where ordering_key is not null and not blocked;
-- The sweep: what ended and nobody pulled, and first of it what stands behind the head of its ordering key. Its
-- condition holds for every row, and only the sweep states it: a claim that looks for the ended heads of one inbox must
-- not be planned as a walk through what ended in all of them.
create index messages_ends on cams.messages (ends_at) where priority > 0;
create index messages_ends_blocked on cams.messages (ends_at) where blocked;
-- A pull that finds a line behind an ended head (rare) ends it first.
create index messages_ended_heads on cams.messages (recipient_address, ends_at)
  where ordering_key is not null and not blocked;

-- One line per recipient and ordering key. The advisory lock makes arrival defined: without it, of two sends at once
-- the later number could commit first and be handed out first. The arrival number is taken under the lock.
create function cams.lock_message_line(recipient text, key text) returns void
language sql volatile
as $$
  select pg_advisory_xact_lock(hashtextextended(recipient || E'\n' || key, 7261))
$$;

create function cams.join_message_line() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.lock_message_line(new.recipient_address, new.ordering_key);
  new.seq := nextval('cams.message_arrival');
  new.blocked := exists (
    select from cams.messages m
    where m.recipient_address = new.recipient_address and m.ordering_key = new.ordering_key
  );
  return new;
end
$$;

create trigger messages_join_line
before insert on cams.messages
for each row when (new.ordering_key is not null)
execute function cams.join_message_line();

-- Only the end of a line's head moves the line. One that stood behind it just leaves: it takes no lock, so it never
-- waits for the head's end, which may be waiting for it.
create function cams.advance_message_line() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  next uuid;
begin
  -- A deleted inbox takes its lines along: of thousands not one need be locked.
  if not exists (select from cams.agent_inboxes i where i.ai_agent_address = old.recipient_address) then
    return null;
  end if;
  perform cams.lock_message_line(old.recipient_address, old.ordering_key);
  loop
    -- Behind the head, not from the line's beginning: an old transaction may keep thousands of dead rows there.
    select m.message_id into next from cams.messages m
    where m.recipient_address = old.recipient_address and m.ordering_key = old.ordering_key and m.seq > old.seq
    order by m.seq
    limit 1;
    exit when not found;
    update cams.messages set blocked = false where message_id = next;
    -- Not found: it left while this waited for its row. Then the one behind it.
    exit when found;
  end loop;
  return null;
end
$$;

create trigger messages_advance_line
after delete on cams.messages
for each row when (old.ordering_key is not null and not old.blocked)
execute function cams.advance_message_line();

-- Down Migration

drop table cams.messages;
drop function cams.advance_message_line();
drop function cams.join_message_line();
drop function cams.lock_message_line(text, text);
