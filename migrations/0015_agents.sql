-- Up Migration

-- Quarantine is kept once, on the inbox: since when (there already), why, and by whom.
alter table cams.agent_inboxes
  add column quarantine_reason text,
  add column quarantined_by text,
  add constraint agent_inboxes_quarantine check (
    quarantined_at is not null or (quarantine_reason is null and quarantined_by is null));

-- Those of one health: a heartbeat that says the same again does not touch it.
create index agent_inboxes_health on cams.agent_inboxes (health_status);
-- Those in quarantine, however few.
create index agent_inboxes_quarantined on cams.agent_inboxes (ai_agent_address) where quarantined_at is not null;

-- The words by which an agent is found. What joins words (`qa-manager`, `a/b`) is parted: its parts are looked for too.
create function cams.agent_words(agent_id text, name text, type text, description text, tags text[], metadata jsonb)
returns tsvector
language sql immutable parallel safe
as $$
  select to_tsvector('simple', regexp_replace(
    concat_ws(' ', agent_id, name, type, description, array_to_string(tags, ' '), metadata::text), '[-._/@:"]+', ' ', 'g'))
$$;

-- Live, managed agents. What they share with their inbox (owner, heartbeat, quarantine) is there alone.
create table cams.agents (
  agent_id text not null,
  name text not null,
  type text not null,
  description text,
  state text not null default 'CREATED',
  state_reason text,
  metadata jsonb not null default '{}',
  max_concurrent_tasks integer not null default 5,
  task_queue_size integer not null default 100,
  task_timeout_seconds integer not null default 300,
  resources jsonb,
  tags text[] not null default '{}',
  capabilities text[] not null default '{}',
  definition_id text,
  definition_version text,
  definition_status text generated always as (case when definition_id is not null then 'PUBLISHED' end) stored,
  ai_agent_address text not null,
  created_at timestamptz(3) not null,
  created_by text not null,
  updated_at timestamptz(3) not null,
  updated_by text not null,
  revision integer not null default 1,
  words tsvector not null generated always as (
    cams.agent_words(agent_id, name, type, description, tags, metadata)) stored,

  constraint agents_key primary key (agent_id),
  constraint agents_inbox_key unique (ai_agent_address),
  constraint agents_inbox foreign key (ai_agent_address) references cams.agent_inboxes,
  constraint agents_version foreign key (definition_id, definition_version)
    references cams.definition_versions (definition_id, version),
  constraint agents_id check (agent_id ~ '^[a-z0-9][a-z0-9-]{0,62}$' and agent_id <> 'count'),
  constraint agents_state check (state in ('CREATED', 'RUNNING', 'PAUSED', 'DRAINING', 'STOPPED', 'FAILED')),
  constraint agents_config check (
    max_concurrent_tasks between 1 and 1000 and task_queue_size between 0 and 100000
    and task_timeout_seconds between 1 and 2592000),
  constraint agents_definition_is_whole check ((definition_id is null) = (definition_version is null))
)
-- A claim locks the row of its agent, and lists read much of it: what changes is kept on its page.
with (fillfactor = 90);

-- What an agent runs stays in use: a definition that agents are bound to is not retired.
alter table cams.definitions add constraint definitions_current_status_key unique (definition_id, current_status);
alter table cams.agents add constraint agents_definition foreign key (definition_id, definition_status)
  references cams.definitions (definition_id, current_status);

-- The lists: newest first, all or of one type, one state, one definition.
create index agents_newest on cams.agents (created_at, agent_id);
create index agents_type_newest on cams.agents (type, created_at, agent_id);
create index agents_state_newest on cams.agents (state, created_at, agent_id);
create index agents_definition_newest on cams.agents (definition_id, created_at, agent_id)
  where definition_id is not null;
-- Lists by tag, by capability, by words.
create index agents_tags on cams.agents using gin (tags);
create index agents_capabilities on cams.agents using gin (capabilities);
create index agents_words on cams.agents using gin (words);

create table cams.agent_transitions (
  transition_id bigint generated always as identity,
  agent_id text not null,
  -- Whose it is to read: also when the agent is gone, and another has its name.
  ai_agent_address text not null,
  at timestamptz(3) not null,
  from_state text,
  to_state text not null,
  reason text,
  actor text not null,
  constraint agent_transitions_key primary key (transition_id)
);

-- The history of one agent, newest first.
create index agent_transitions_agent on cams.agent_transitions (agent_id, transition_id);

-- Trigger: no way of changing a state goes past the table of those that are allowed, or forgets its record.
create function cams.change_agent_state() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and (old.state, new.state) not in (
    ('CREATED', 'RUNNING'), ('CREATED', 'STOPPED'),
    ('RUNNING', 'PAUSED'), ('RUNNING', 'DRAINING'), ('RUNNING', 'STOPPED'), ('RUNNING', 'FAILED'),
    ('PAUSED', 'RUNNING'), ('PAUSED', 'STOPPED'),
    ('DRAINING', 'STOPPED'),
    ('STOPPED', 'RUNNING'),
    ('FAILED', 'RUNNING'), ('FAILED', 'STOPPED')) then
    raise exception 'agent % is %: it does not become %', old.agent_id, old.state, new.state
      using errcode = 'check_violation', schema = 'cams', table = 'agents', constraint = 'agents_transition';
  end if;
  insert into cams.agent_transitions (agent_id, ai_agent_address, at, from_state, to_state, reason, actor)
  values (new.agent_id, new.ai_agent_address, now(), case when tg_op = 'UPDATE' then old.state end, new.state, new.state_reason, new.updated_by);
  return null;
end
$$;

create trigger agents_register after insert on cams.agents for each row execute function cams.change_agent_state();
create trigger agents_change_state after update of state on cams.agents
for each row when (old.state <> new.state)
execute function cams.change_agent_state();

-- Trigger: records the change of an agent under the team that owns its inbox.
create function cams.record_agent_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  hidden constant text[] := '{words,definition_status}';
  before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - hidden end;
  after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - hidden end;
  agent jsonb := coalesce(after, before);
begin
  perform cams.add_audit_entry(jsonb_build_object(
    'action', case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    'resourceType', 'agent', 'resourceId', agent ->> 'agent_id',
    'ownerTeam', (select i.owner_team from cams.agent_inboxes i where i.ai_agent_address = agent ->> 'ai_agent_address'),
    'before', before, 'after', after));
  return null;
end
$$;

create constraint trigger agents_audit after insert or update or delete on cams.agents
deferrable initially deferred for each row
execute function cams.record_agent_change();
create trigger agents_not_truncated before truncate on cams.agents execute function cams.refuse_truncate();
create trigger agents_continue_revision before insert on cams.agents
for each row execute function cams.continue_revision('agent', 'agent_id');

-- Sends as the system itself: a hint that lives five minutes, to an inbox that takes messages. Answers whether it did.
create function cams.send_from_cams(recipient text, message_type text, payload json, priority integer, due timestamptz)
returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  insert into cams.messages (
    message_id, recipient_address, sender_address, message_type, payload, priority, time_to_live_seconds, accepted_at,
    rank_at, available_at, expires_at)
  select cams.uuid7(now()), i.ai_agent_address, 'cams', send_from_cams.message_type, send_from_cams.payload,
    send_from_cams.priority, 300, now(),
    greatest(now(), due) + make_interval(secs => (send_from_cams.priority - 1) * 60), greatest(now(), due),
    greatest(now(), due) + interval '5 minutes'
  from cams.agent_inboxes i
  where i.ai_agent_address = recipient and i.admin_status = 'ACTIVE' and i.quarantined_at is null
  for key share of i;
  return found;
end
$$;

grant select, insert, update, delete on cams.agents to cams_agent;
grant select, insert on cams.agent_transitions to cams_agent;
grant execute on function cams.agent_words(text, text, text, text, text[], jsonb) to cams_agent;
grant execute on function cams.send_from_cams(text, text, json, integer, timestamptz)
  to cams_agent, cams_operator, cams_system;
grant select on cams.agents to cams_operator;
-- The system ends drains, and says who fell silent.
grant select, update (state, state_reason, updated_at, updated_by, revision) on cams.agents to cams_system;
grant select, insert, update (transition_id), delete on cams.agent_transitions to cams_system;
-- Quarantine is an operator's.
grant update (quarantined_at, quarantine_reason, quarantined_by, status_reason, last_updated_timestamp, updated_by)
  on cams.agent_inboxes to cams_operator;
grant insert on cams.health_transitions to cams_operator;
grant update (attempts, attempt, last_attempt, lease_token, leased_at, available_at) on cams.messages to cams_operator;
-- What the system itself sends.
grant insert on cams.messages to cams_system;
grant usage on sequence cams.message_arrival to cams_system;
grant execute on function cams.uuid7(timestamptz) to cams_system;

-- Down Migration

revoke execute on function cams.uuid7(timestamptz) from cams_system;
revoke usage on sequence cams.message_arrival from cams_system;
revoke insert on cams.messages from cams_system;
revoke update (attempts, attempt, last_attempt, lease_token, leased_at, available_at) on cams.messages from cams_operator;
revoke insert on cams.health_transitions from cams_operator;
revoke update (quarantined_at, status_reason, last_updated_timestamp, updated_by) on cams.agent_inboxes from cams_operator;
drop function cams.send_from_cams(text, text, json, integer, timestamptz);
drop table cams.agents;
alter table cams.definitions drop constraint definitions_current_status_key;
drop table cams.agent_transitions;
drop function cams.record_agent_change();
drop function cams.change_agent_state();
drop function cams.agent_words(text, text, text, text, text[], jsonb);
drop index cams.agent_inboxes_quarantined;
drop index cams.agent_inboxes_health;
alter table cams.agent_inboxes
  drop constraint agent_inboxes_quarantine, drop column quarantined_by, drop column quarantine_reason;
