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
  -- When the thing was given to another team.
  previous_team text generated always as (
    nullif(entry -> 'before' ->> 'owner_team', entry ->> 'ownerTeam')) stored,
  constraint audit_log_key primary key (sequence)
);

-- The history of one thing, what one actor did, and what an operator may see: newest first.
create index audit_log_resource on cams.audit_log (resource_id, sequence);
create index audit_log_actor on cams.audit_log (actor, sequence);
create index audit_log_owner_team on cams.audit_log (owner_team, sequence) where owner_team is not null;
create index audit_log_previous_team on cams.audit_log (previous_team, sequence) where previous_team is not null;
-- What is rare among what is frequent, and where in the chain a time is.
create index audit_log_action on cams.audit_log (resource_type, action, sequence);
create index audit_log_at on cams.audit_log (at, sequence);

-- The end of the chain: one row. Without it the last entries could be cut off unseen.
create table cams.audit_head (
  only_row boolean not null default true,
  sequence bigint not null,
  at timestamptz(3) not null default '-infinity',
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
  -- Anybody may set the setting: it counts if it names an entry that the head does not know yet, which can only be one
  -- of this transaction, that has the head's lock.
  select a.sequence, a.at, a.hash into last.sequence, last.at, last.hash
  from cams.audit_head h join cams.audit_log a on a.sequence > h.sequence
  where a.sequence = split_part(own, ' ', 1)::bigint and a.hash = decode(split_part(own, ' ', 2), 'hex');
  if not found then
    select * into strict last from cams.audit_head for update;
  end if;
  last.sequence := last.sequence + 1;
  -- Never back, even if the server's clock was set back: times are looked for along the chain.
  now := greatest(clock_timestamp(), last.at);
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
  -- Not as "none behind it": that may be planned as a walk through the whole log.
  if new.sequence = (select max(a.sequence) from cams.audit_log a) then
    update cams.audit_head set sequence = new.sequence, at = new.at, hash = new.hash;
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
  reason text;
begin
  if tg_op = 'UPDATE' and before ->> 'admin_status' <> after ->> 'admin_status'
    and coalesce(current_setting('cams.reason', true), '') = ''
    and to_jsonb(new) -> 'status_reason' <> to_jsonb(old) -> 'status_reason' then
    -- What the router says of it: the service itself deactivates a webhook that is gone, asked by nobody.
    reason := to_jsonb(new) ->> 'status_reason';
  end if;
  perform cams.add_audit_entry(jsonb_build_object(
    'action', case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    'resourceType', tg_argv[0], 'resourceId', row ->> tg_argv[1], 'ownerTeam', row ->> tg_argv[2],
    'before', before, 'after', after)
    || case when reason is null then '{}' else jsonb_build_object('reason', reason) end);
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
after update of ai_agent_address, inbox_destination_type, inbox_name, admin_status, quarantined_at, description, owner_team,
  heartbeat_interval_seconds, max_delivery_attempts
on cams.agent_inboxes
deferrable initially deferred for each row
when ((old.ai_agent_address, old.inbox_destination_type, old.inbox_name, old.admin_status, old.quarantined_at, old.description,
    old.owner_team, old.heartbeat_interval_seconds, old.max_delivery_attempts)
  is distinct from (new.ai_agent_address, new.inbox_destination_type, new.inbox_name, new.admin_status, new.quarantined_at, new.description,
    new.owner_team, new.heartbeat_interval_seconds, new.max_delivery_attempts))
execute function cams.record_change('inbox', 'ai_agent_address', 'owner_team', '{status,status_reason,health_status,
  last_health_check_timestamp,expected_by,sweep_after,failures_in_row,delivery_paused_until}');

-- A rotation keeps the old secret; what is only encrypted anew does not.
create constraint trigger webhook_secrets_audit after update on cams.webhook_secrets
deferrable initially deferred for each row
when (new.previous_secret = old.secret)
execute function cams.record_secret_rotation();

-- Trigger: refuses to empty a table at a stroke, which no other trigger would see.
create function cams.refuse_truncate() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'cams.% is audited: delete its rows', tg_table_name;
end
$$;

create trigger agent_inboxes_not_truncated before truncate on cams.agent_inboxes execute function cams.refuse_truncate();
create trigger principals_not_truncated before truncate on cams.principals execute function cams.refuse_truncate();
create trigger api_keys_not_truncated before truncate on cams.api_keys execute function cams.refuse_truncate();
create trigger audit_log_not_truncated before truncate on cams.audit_log execute function cams.refuse_truncate();

-- Trigger: what is made anew under a name goes on counting where the one before ended, so that an ETag does not stand for
-- two things; unless it is made while the deletion of the one before has not yet committed.
create function cams.continue_revision() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  new.revision := new.revision + coalesce((
    select (a.entry -> 'before' ->> 'revision')::integer
    from cams.audit_log a
    where a.resource_id = to_jsonb(new) ->> tg_argv[1] and a.resource_type = tg_argv[0] and a.action = 'deleted'
    order by a.sequence desc
    limit 1), 0);
  return new;
end
$$;

create trigger agent_inboxes_continue_revision before insert on cams.agent_inboxes
for each row execute function cams.continue_revision('inbox', 'ai_agent_address');
create trigger principals_continue_revision before insert on cams.principals
for each row execute function cams.continue_revision('principal', 'principal_id');

-- Nobody writes it but the triggers.
grant select on cams.audit_log, cams.audit_head to cams_operator;
grant execute on function cams.audit_hash(bytea, bigint, timestamptz, jsonb) to cams_operator;

-- Down Migration

drop trigger api_keys_not_truncated on cams.api_keys;
drop trigger principals_not_truncated on cams.principals;
drop trigger agent_inboxes_not_truncated on cams.agent_inboxes;
drop trigger principals_continue_revision on cams.principals;
drop trigger agent_inboxes_continue_revision on cams.agent_inboxes;
drop function cams.continue_revision();
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
drop function cams.refuse_truncate();
drop function cams.move_audit_head();
drop table cams.audit_head;
