-- Up Migration

create sequence cams.task_arrival;

-- Live tasks only: what finishes moves to cams.task_archive in the statement that finishes it.
create table cams.tasks (
  task_id uuid not null,
  seq bigint not null default nextval('cams.task_arrival'),
  -- Of the pool of this definition: any running agent of it may claim the task. Without, it is one agent's.
  pool text,
  -- For whom it was submitted; of a pooled task who holds it.
  agent_id text,
  -- What that agent is, or what the pool is of; the version is of whoever claimed it last.
  definition_id text,
  definition_version text,
  type text not null,
  name text,
  payload json not null,
  priority smallint not null,
  cause_kind text not null,
  cause_id text,
  depends_on uuid[] not null default '{}',
  waiting_for integer not null default 0,
  approval text,
  approval_at timestamptz(3),
  approval_by text,
  approval_reason text,
  timeout_seconds integer not null,
  max_attempts integer not null,
  submitted_at timestamptz(3) not null,
  submitted_by text not null,
  traceparent text,
  rank_at timestamptz(3) not null,
  available_at timestamptz(3) not null,
  attempt integer not null default 0,
  last_attempt boolean not null default false,
  lease_token uuid,
  lease_seconds integer,
  leased_at timestamptz(3),
  -- Until when who holds it may go on; a lapsed one is in nobody's hand, and free again from `available_at` on.
  lease_until timestamptz(3),
  -- When the attempt has taken as long as it may; no lease goes beyond it.
  deadline_at timestamptz(3),
  progress jsonb,
  -- What the attempts before this one used, and what this one has so far.
  tokens bigint,
  cost_usd numeric(18, 6),
  tool_calls integer,
  attempt_tokens bigint,
  attempt_cost_usd numeric(18, 6),
  attempt_tool_calls integer,
  attempts jsonb not null default '[]',
  queue text not null generated always as (
    case when pool is null then 'agent/' || agent_id else 'definition/' || pool end) stored,
  pool_status text generated always as (case when pool is not null then 'PUBLISHED' end) stored,
  -- Not to be claimed yet: for what it depends on, or for an operator.
  waiting boolean not null generated always as (waiting_for > 0 or coalesce(approval = 'REQUIRED', false)) stored,
  -- When it ends if nothing more happens: with the lease of its last attempt, or when an attempt has taken too long.
  ends_at timestamptz(3) generated always as (
    case when last_attempt or lease_until >= deadline_at then lease_until end) stored,

  constraint tasks_key primary key (task_id),
  constraint tasks_agent foreign key (agent_id) references cams.agents,
  -- While a task is in its pool, a definition is not retired.
  constraint tasks_pool foreign key (pool, pool_status) references cams.definitions (definition_id, current_status),
  constraint tasks_pool_is_its_definition check (pool is null or pool = definition_id),
  constraint tasks_has_queue check (num_nonnulls(pool, agent_id) > 0),
  constraint tasks_priority check (priority between 1 and 4),
  constraint tasks_cause check (cause_kind in ('MANUAL', 'EVENT', 'SCHEDULE', 'MESSAGE')),
  constraint tasks_approval check (approval in ('REQUIRED', 'APPROVED', 'REJECTED')
    and (approval = 'REQUIRED') = (approval_by is null) and (approval_by is null) = (approval_at is null)),
  constraint tasks_limits check (timeout_seconds between 1 and 2592000 and max_attempts between 1 and 100
    and waiting_for >= 0 and attempt between 0 and max_attempts),
  constraint tasks_lease_is_whole check (
    num_nulls(lease_token, lease_seconds, leased_at, lease_until, deadline_at) in (0, 5)
    and (lease_token is not null or not last_attempt)),
  constraint tasks_lease_has_holder check (lease_token is null or (agent_id is not null and not waiting)),
  constraint tasks_lease_within_deadline check (lease_until <= deadline_at and available_at >= lease_until)
)
-- Claims and progress rewrite rows that are soon deleted: a vacuum after 1,000 dead rows, as for messages.
with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000);

alter sequence cams.task_arrival owned by cams.tasks.seq;

-- Claim in rank order what nobody had yet: neither what is in a hand nor what backs off stands in the way, however much
-- that is.
create index tasks_claim on cams.tasks (queue, waiting, rank_at, seq) where attempt = 0;
-- Claim what was in a hand that let it go, when its time has come.
create index tasks_again on cams.tasks (queue, available_at) where attempt > 0;
-- What an agent holds: counted at each claim, returned when it stops.
create index tasks_held on cams.tasks (agent_id, lease_until) where lease_token is not null;
-- The sweep: what ended and nobody said so.
create index tasks_ends on cams.tasks (ends_at) where ends_at is not null;
-- Lists, newest first: of an agent, a definition, who submitted them.
create index tasks_agent on cams.tasks (agent_id, task_id) where agent_id is not null;
create index tasks_definition on cams.tasks (definition_id, task_id) where definition_id is not null;
-- How many a definition's agents hold.
create index tasks_definition_held on cams.tasks (definition_id, lease_until) where lease_token is not null;
create index tasks_submitted_by on cams.tasks (submitted_by, task_id);

-- What a task still waits for. A row goes when the other task completes; when it ends otherwise, this one fails.
create table cams.task_dependencies (
  depends_on uuid not null,
  task_id uuid not null,
  constraint task_dependencies_key primary key (depends_on, task_id),
  constraint task_dependencies_task foreign key (task_id) references cams.tasks on delete cascade
);
create index task_dependencies_task on cams.task_dependencies (task_id);

-- How many tasks an agent works on. A function for its snapshot: whoever waited for the agent's row must count what the
-- one before it claimed, which the statement's own snapshot does not show.
create function cams.working_tasks(agent text, at timestamptz) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select count(*) from cams.tasks t where t.agent_id = agent and t.lease_token is not null and t.lease_until > at);
end
$$;

-- The receipts of a task, with that of the attempt it is in. It becomes part of the statement that asks for it.
create function cams.task_receipts(t cams.tasks, outcome text, detail text, at timestamptz) returns jsonb
language sql stable
as $$
  select case when t.lease_token is null then t.attempts else
    -- The last hundred: what is interrupted is not counted, and may be so for ever.
    case when jsonb_array_length(t.attempts) >= 100 then t.attempts - 0 else t.attempts end || jsonb_strip_nulls(jsonb_build_object(
    'number', t.attempt, 'agentId', t.agent_id, 'definitionVersion', t.definition_version,
    'at', cams.iso(t.leased_at), 'outcome', outcome, 'detail', detail,
    'milliseconds', case when outcome <> 'WORKING' then
      -- Its beginning was rounded to milliseconds, and may so be after its end.
      greatest(0, floor(extract(epoch from least(at, t.lease_until) - t.leased_at) * 1000))::bigint end)) end
$$;

-- Trigger: a task for an agent is announced in its inbox when it may be claimed, so that one loop over the inbox is enough.
create function cams.announce_task() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.send_from_cams(a.ai_agent_address, 'task.submitted',
    json_build_object('taskId', new.task_id, 'agentId', new.agent_id, 'type', new.type), new.priority, new.available_at)
  from cams.agents a
  where a.agent_id = new.agent_id;
  return null;
end
$$;

create trigger tasks_announce after insert on cams.tasks
for each row when (new.pool is null and not new.waiting)
execute function cams.announce_task();
create trigger tasks_announce_again after update on cams.tasks
for each row when (new.pool is null and not new.waiting and new.lease_token is null
  and (old.waiting or old.lease_token is not null))
execute function cams.announce_task();

-- Trigger: what an operator decided about a task.
create function cams.record_task_decision() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.add_audit_entry(jsonb_strip_nulls(jsonb_build_object(
    'action', lower(new.approval), 'resourceType', 'task', 'resourceId', new.task_id,
    'ownerTeam', (select d.owner_team from cams.definitions d where d.definition_id = new.definition_id),
    'reason', new.approval_reason,
    'after', jsonb_build_object('task_id', new.task_id, 'type', new.type, 'definition_id', new.definition_id,
      'agent_id', new.agent_id, 'submitted_by', new.submitted_by))));
  return null;
end
$$;

create constraint trigger tasks_audit after update of approval on cams.tasks
deferrable initially deferred for each row when (old.approval is distinct from new.approval)
execute function cams.record_task_decision();

grant select, insert, update, delete on cams.tasks to cams_agent;
grant select, update, delete on cams.tasks to cams_operator, cams_system;
grant select, insert, delete on cams.task_dependencies to cams_agent;
grant select, delete on cams.task_dependencies to cams_operator, cams_system;
grant usage on sequence cams.task_arrival to cams_agent;
grant execute on function cams.working_tasks(text, timestamptz) to cams_agent, cams_system;
grant execute on function cams.task_receipts(cams.tasks, text, text, timestamptz) to cams_agent, cams_operator, cams_system;

-- Down Migration

drop table cams.task_dependencies;
drop function cams.task_receipts(cams.tasks, text, text, timestamptz);
drop function cams.working_tasks(text, timestamptz);
drop table cams.tasks;
drop function cams.record_task_decision();
drop function cams.announce_task();
