-- Up Migration

-- Every decision: who, when, what before, what after, why. Each entry's hash covers the one before it, so that none can
-- be changed, added or taken away without its showing. All but the place in the chain is inside `entry`: what is stored
-- is what was hashed, whatever columns come later.
create table cams.audit_log (
  sequence bigint not null,
  at timestamptz(3) not null,
  entry jsonb not null,
  hash bytea not null,
  actor text not null generated always as (entry ->> 'actor') stored,
  action text not null generated always as (entry ->> 'action') stored,
  resource_type text not null generated always as (entry ->> 'resourceType') stored,
  resource_id text not null generated always as (entry ->> 'resourceId') stored,
  owner_team text generated always as (entry ->> 'ownerTeam') stored,
  constraint audit_log_key primary key (sequence)
);

-- The history of one thing, what one actor did, and what an operator may see: newest first.
create index audit_log_resource on cams.audit_log (resource_id, sequence);
create index audit_log_actor on cams.audit_log (actor, sequence);
create index audit_log_owner_team on cams.audit_log (owner_team, sequence) where owner_team is not null;

-- The end of the chain: one row. Without it the last entries could be cut off unseen.
create table cams.audit_head (
  only_row boolean not null default true,
  sequence bigint not null,
  hash bytea not null,
  constraint audit_head_key primary key (only_row),
  constraint audit_head_is_one_row check (only_row)
) with (fillfactor = 10);
insert into cams.audit_head (sequence, hash) values (0, decode(repeat('00', 32), 'hex'));

-- The hash of an entry behind the one with `previous`.
create function cams.audit_hash(previous bytea, sequence bigint, at timestamptz, entry jsonb) returns bytea
language sql immutable strict parallel safe
as $$
  select sha256(previous || convert_to(sequence || ' ' || extract(epoch from at) || ' ' || entry::text, 'UTF8'))
$$;

-- Adds an entry. Takes the head's lock, so it runs from deferred triggers: at the commit, as a transaction's last lock.
-- Taken earlier, two transactions that change the same two rows the other way round would deadlock on it.
create function cams.add_audit_entry(what jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  -- Place and hash of this transaction's own last entry.
  own text := nullif(current_setting('cams.audit_last', true), '');
  last cams.audit_head;
  entry jsonb := jsonb_strip_nulls(jsonb_build_object(
    -- Who changes a row past the service is named as who is logged in.
    'actor', coalesce(nullif(current_setting('cams.actor', true), ''), session_user),
    'databaseUser', session_user,
    'requestId', nullif(current_setting('cams.request_id', true), ''),
    'reason', nullif(current_setting('cams.reason', true), ''),
    'source', coalesce(nullif(current_setting('cams.source', true), ''), 'sql'))) || what;
  now timestamptz(3);
begin
  if own is null then
    select * into strict last from cams.audit_head for update;
  else
    last.sequence := split_part(own, ' ', 1);
    last.hash := decode(split_part(own, ' ', 2), 'hex');
  end if;
  last.sequence := last.sequence + 1;
  now := clock_timestamp();
  last.hash := cams.audit_hash(last.hash, last.sequence, now, entry);
  insert into cams.audit_log (sequence, at, entry, hash) values (last.sequence, now, entry, last.hash);
  perform set_config('cams.audit_last', last.sequence || ' ' || encode(last.hash, 'hex'), true);
end
$$;

-- Trigger: the last entry of a transaction moves the head. Each entry doing so would make a version of the head, and read
-- through those before it: 50,000 rows in one transaction took minutes.
create function cams.move_audit_head() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if new.sequence::text = split_part(current_setting('cams.audit_last'), ' ', 1) then
    update cams.audit_head set sequence = new.sequence, hash = new.hash;
  end if;
  return null;
end
$$;

-- Trigger: records the change of a row. Arguments: what the resource is called, the column of its id, the column of the
-- team that owns it ('' when none does), and the columns that are left out: secrets, and what is observed, not decided.
create function cams.record_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  hidden text[] := tg_argv[3]::text[];
  before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - hidden end;
  after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - hidden end;
  row jsonb := coalesce(after, before);
begin
  perform cams.add_audit_entry(jsonb_build_object(
    'action', case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    'resourceType', tg_argv[0], 'resourceId', row ->> tg_argv[1], 'ownerTeam', row ->> tg_argv[2],
    'before', before, 'after', after));
  return null;
end
$$;

-- Trigger: records that a webhook got another secret, without the secret.
create function cams.record_secret_rotation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.add_audit_entry(jsonb_strip_nulls(jsonb_build_object(
    'action', 'secret_rotated', 'resourceType', 'inbox', 'resourceId', new.ai_agent_address,
    'ownerTeam', (select i.owner_team from cams.agent_inboxes i where i.ai_agent_address = new.ai_agent_address))));
  return null;
end
$$;

-- Deferred too, it comes after all entries of the transaction.
create constraint trigger audit_log_moves_head after insert on cams.audit_log
deferrable initially deferred for each row
execute function cams.move_audit_head();

create constraint trigger principals_audit after insert or delete on cams.principals
deferrable initially deferred for each row
execute function cams.record_change('principal', 'principal_id', '', '{}');

-- Its keys, which change its revision too, have entries of their own.
create constraint trigger principals_audit_decisions after update on cams.principals
deferrable initially deferred for each row
when ((old.principal_id, old.role, old.team, old.addresses) is distinct from (new.principal_id, new.role, new.team, new.addresses))
execute function cams.record_change('principal', 'principal_id', '', '{}');

create constraint trigger api_keys_audit after insert or update or delete on cams.api_keys
deferrable initially deferred for each row
execute function cams.record_change('api_key', 'key_id', '', '{secret_hash}');

create constraint trigger agent_inboxes_audit after insert or delete on cams.agent_inboxes
deferrable initially deferred for each row
execute function cams.record_change('inbox', 'ai_agent_address', 'owner_team', '{status,status_reason,health_status,
  last_health_check_timestamp,expected_by,sweep_after,failures_in_row,delivery_paused_until}');

-- Only decisions. The columns named keep heartbeats from asking at all.
create constraint trigger agent_inboxes_audit_decisions
after update of inbox_destination_type, inbox_name, admin_status, quarantined_at, description, owner_team,
  heartbeat_interval_seconds, max_delivery_attempts
on cams.agent_inboxes
deferrable initially deferred for each row
when ((old.inbox_destination_type, old.inbox_name, old.admin_status, old.quarantined_at, old.description,
    old.owner_team, old.heartbeat_interval_seconds, old.max_delivery_attempts)
  is distinct from (new.inbox_destination_type, new.inbox_name, new.admin_status, new.quarantined_at, new.description,
    new.owner_team, new.heartbeat_interval_seconds, new.max_delivery_attempts))
execute function cams.record_change('inbox', 'ai_agent_address', 'owner_team', '{status,status_reason,health_status,
  last_health_check_timestamp,expected_by,sweep_after,failures_in_row,delivery_paused_until}');

-- Not when it is only encrypted anew.
create constraint trigger webhook_secrets_audit after update on cams.webhook_secrets
deferrable initially deferred for each row
when (new.previous_until > old.previous_until or old.previous_until is null and new.previous_until is not null)
execute function cams.record_secret_rotation();

-- Nobody writes it but the triggers.
grant select on cams.audit_log, cams.audit_head to cams_operator;
grant execute on function cams.audit_hash(bytea, bigint, timestamptz, jsonb) to cams_operator;

-- Down Migration

drop trigger webhook_secrets_audit on cams.webhook_secrets;
drop trigger agent_inboxes_audit_decisions on cams.agent_inboxes;
drop trigger agent_inboxes_audit on cams.agent_inboxes;
drop trigger api_keys_audit on cams.api_keys;
drop trigger principals_audit_decisions on cams.principals;
drop trigger principals_audit on cams.principals;
drop function cams.record_secret_rotation();
drop function cams.record_change();
drop function cams.add_audit_entry(jsonb);
drop function cams.audit_hash(bytea, bigint, timestamptz, jsonb);
drop table cams.audit_log;
drop function cams.move_audit_head();
drop table cams.audit_head;
