-- Up Migration

-- Finished tasks: execution history.
create table cams.task_archive (
  task_id uuid not null,
  seq bigint not null,
  pool text,
  agent_id text,
  -- Of that agent: whose it is to read, also when the agent is gone, and another has its name.
  ai_agent_address text,
  definition_id text,
  definition_version text,
  type text not null,
  name text,
  payload json not null,
  priority smallint not null,
  cause_kind text not null,
  cause_id text,
  depends_on uuid[] not null,
  approval text,
  approval_at timestamptz(3),
  approval_by text,
  approval_reason text,
  timeout_seconds integer not null,
  max_attempts integer not null,
  submitted_at timestamptz(3) not null,
  submitted_by text not null,
  traceparent text,
  attempt integer not null,
  lease_token uuid,
  -- When its last attempt began; null when there was none.
  started_at timestamptz(3),
  progress jsonb,
  tokens bigint,
  cost_usd numeric(18, 6),
  tool_calls integer,
  attempts jsonb not null,
  state text not null,
  finished_at timestamptz(3) not null,
  result json,
  error jsonb,
  rating smallint,
  rating_comment text,
  rated_at timestamptz(3),
  rated_by text,

  constraint task_archive_key primary key (finished_at, task_id),
  constraint task_archive_state check (
    case state
      when 'COMPLETED' then started_at is not null and error is null
      when 'FAILED' then error is not null
      when 'TIMED_OUT' then started_at is not null and error is not null
      when 'REJECTED' then approval = 'REJECTED'
      else state = 'CANCELLED'
    end),
  constraint task_archive_result check (result is null or state = 'COMPLETED'),
  constraint task_archive_rating check (rating between 1 and 5 and num_nulls(rating, rated_at, rated_by) in (0, 3))
) partition by range (finished_at);

-- One task by its id, the lists (newest first), and the figures of a definition over a time.
create index task_archive_id on cams.task_archive (task_id);
create index task_archive_agent on cams.task_archive (agent_id, task_id) where agent_id is not null;
create index task_archive_address on cams.task_archive (ai_agent_address, task_id) where ai_agent_address is not null;
create index task_archive_definition on cams.task_archive (definition_id, task_id) where definition_id is not null;
create index task_archive_submitted_by on cams.task_archive (submitted_by, task_id);
create index task_archive_figures on cams.task_archive (definition_id, finished_at) where definition_id is not null;

create table cams.task_archive_default partition of cams.task_archive default;

-- What tasks of a definition have cost in a month (UTC). In slots: those who finish tasks at once must not wait for each
-- other's commit.
create table cams.definition_costs (
  definition_id text not null,
  month date not null,
  slot smallint not null,
  cost_usd numeric(18, 6) not null,
  constraint definition_costs_key primary key (definition_id, month, slot)
) with (fillfactor = 50);

-- That a part of a month's budget was used, said once; again when the budget is another.
create table cams.budget_notices (
  definition_id text not null,
  month date not null,
  percent smallint not null,
  at timestamptz(3) not null,
  limit_usd numeric(18, 6) not null,
  cost_usd numeric(18, 6) not null,
  constraint budget_notices_key primary key (definition_id, month, percent, limit_usd),
  constraint budget_notices_percent check (percent in (70, 90, 100))
);

create function cams.month_of(at timestamptz) returns date
language sql immutable strict parallel safe
as $$
  select date_trunc('month', at at time zone 'UTC')::date
$$;

create function cams.month_cost(definition text, at timestamptz) returns numeric
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(sum(c.cost_usd), 0) from cams.definition_costs c
    where c.definition_id = definition and c.month = cams.month_of(at));
end
$$;

-- Adds what a task has used since it was last asked to its definition's month.
create function cams.spend(definition text, amount numeric, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if definition is not null and amount > 0 then
    insert into cams.definition_costs as c (definition_id, month, slot, cost_usd)
    values (definition, cams.month_of(at), floor(random() * 8), amount)
    on conflict (definition_id, month, slot) do update set cost_usd = c.cost_usd + excluded.cost_usd;
  end if;
end
$$;

-- Writes a task that was just deleted to the archive. `used` is what its last attempt used in all, as it was reported
-- (`tokens`, `costUsd`, `toolCalls`), where that is more than what was said before.
create function cams.archive_task(
  t cams.tasks, final_state text, outcome text, at timestamptz, used jsonb, result json, error jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  tokens bigint := greatest(t.attempt_tokens, (used ->> 'tokens')::bigint);
  cost numeric := greatest(t.attempt_cost_usd, (used ->> 'costUsd')::numeric);
  calls integer := greatest(t.attempt_tool_calls, (used ->> 'toolCalls')::integer);
begin
  -- Null is "not said": what was said stays when nothing is added.
  insert into cams.task_archive (
    task_id, seq, pool, agent_id, ai_agent_address, definition_id, definition_version, type, name, payload, priority,
    cause_kind, cause_id, depends_on, approval, approval_at, approval_by, approval_reason, timeout_seconds, max_attempts, submitted_at,
    submitted_by, traceparent, attempt, lease_token, started_at, progress, tokens, cost_usd, tool_calls, attempts, state,
    finished_at, result, error)
  values (
    t.task_id, t.seq, t.pool, t.agent_id,
    (select a.ai_agent_address from cams.agents a where a.agent_id = t.agent_id), t.definition_id, t.definition_version,
    t.type, t.name, t.payload, t.priority,
    t.cause_kind, t.cause_id, t.depends_on, t.approval, t.approval_at, t.approval_by, t.approval_reason,
    t.timeout_seconds, t.max_attempts, t.submitted_at, t.submitted_by, t.traceparent, t.attempt, t.lease_token,
    coalesce(t.leased_at, (t.attempts -> -1 ->> 'at')::timestamptz), t.progress,
    coalesce(t.tokens + tokens, t.tokens, tokens), coalesce(t.cost_usd + cost, t.cost_usd, cost),
    coalesce(t.tool_calls + calls, t.tool_calls, calls),
    -- A lease that had run out before is what became of the attempt, whatever ends the task now.
    case when t.lease_until < at then cams.task_receipts(t, 'LEASE_EXPIRED', null, at)
      else cams.task_receipts(t, outcome, error ->> 'message', at) end, final_state,
    -- Not before it began, or no look-up by the time in its id would find it.
    greatest(at, t.submitted_at), result, error);
  perform cams.spend(t.definition_id, cost - coalesce(t.attempt_cost_usd, 0), at);
  return t.task_id;
end
$$;

-- Trigger: whatever waits for a task that has ended goes on when it completed, and else fails with all that waits for it.
create function cams.settle_dependants() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  ended uuid[] := array[old.task_id];
  completed boolean;
begin
  -- Those below are deleted by the loop, level by level: a chain of thousands would be as many triggers deep.
  if pg_trigger_depth() > 1
    or not exists (select from cams.task_dependencies d where d.depends_on = old.task_id) then
    return null;
  end if;
  select a.state = 'COMPLETED' into strict completed from cams.task_archive a
  where a.task_id = old.task_id and a.finished_at >= old.submitted_at;
  if completed then
    -- In order of arrival, as everywhere.
    perform from cams.tasks t
    where t.task_id = any (array(select d.task_id from cams.task_dependencies d where d.depends_on = old.task_id))
    order by t.seq for no key update;
    with free as (
      delete from cams.task_dependencies d where d.depends_on = old.task_id returning d.task_id
    )
    update cams.tasks t set waiting_for = t.waiting_for - 1 where t.task_id = any (array(select task_id from free));
    return null;
  end if;
  -- Each round sees what was submitted while the one before it waited for that submission's lock.
  while ended is not null loop
    perform from cams.tasks t
    where t.task_id = any (array(select d.task_id from cams.task_dependencies d where d.depends_on = any (ended)))
    order by t.seq for update;
    with gone as (
      delete from cams.tasks t
      where t.task_id = any (array(select d.task_id from cams.task_dependencies d where d.depends_on = any (ended)))
      returning t.*
    ), archived as (
      select cams.archive_task(gone, 'FAILED', null, now(), null, null, jsonb_build_object(
        'code', 'dependency_failed', 'message', 'it depends on task ' || old.task_id || ', which did not complete')) as task_id
      from gone
    ), forgotten as (
      delete from cams.task_dependencies d where d.depends_on = any (ended)
    )
    select array_agg(task_id) into ended from archived;
  end loop;
  return null;
end
$$;

create trigger tasks_settle_dependants after delete on cams.tasks
for each row execute function cams.settle_dependants();

-- What tasks of a definition came to between two times, by the version that did them; without a version what ended before
-- anybody claimed it. The success rate is of those that were tried. With no search path of its own, so that it becomes
-- part of the statement that asks: for one definition only that one's tasks are read.
create function cams.agent_metrics_between(since timestamptz, until timestamptz)
returns table (
  definition_id text, definition_version text, tasks bigint, completed bigint, failed bigint, timed_out bigint,
  cancelled bigint, rejected bigint, success_rate float8, mean_seconds float8, p95_seconds float8, tokens numeric,
  cost_usd numeric, tool_calls bigint, ratings bigint, mean_rating float8, last_run_at timestamptz)
language sql stable
as $$
  select a.definition_id, a.definition_version, count(*),
    count(*) filter (where a.state = 'COMPLETED'), count(*) filter (where a.state = 'FAILED'),
    count(*) filter (where a.state = 'TIMED_OUT'), count(*) filter (where a.state = 'CANCELLED'),
    count(*) filter (where a.state = 'REJECTED'),
    (count(*) filter (where a.state = 'COMPLETED'))::float8
      / nullif(count(*) filter (where a.state in ('COMPLETED', 'FAILED', 'TIMED_OUT') and a.started_at is not null), 0),
    avg(extract(epoch from a.finished_at - a.started_at))::float8,
    percentile_cont(0.95) within group (order by extract(epoch from a.finished_at - a.started_at)::float8),
    sum(a.tokens), sum(a.cost_usd), sum(a.tool_calls), count(a.rating), avg(a.rating)::float8, max(a.finished_at)
  from cams.task_archive a
  where a.definition_id is not null and a.finished_at >= since and a.finished_at < until
  group by a.definition_id, a.definition_version
$$;

create view cams.agent_metrics as select * from cams.agent_metrics_between('-infinity', 'infinity');

grant select, insert on cams.task_archive, cams.definition_costs to cams_agent, cams_system;
-- The sweep looks how much of each budget is used.
grant select, insert on cams.budget_notices to cams_system;
grant update (rating, rating_comment, rated_at, rated_by) on cams.task_archive to cams_agent;
grant select, insert on cams.task_archive, cams.definition_costs to cams_operator;
grant update on cams.definition_costs to cams_agent, cams_operator, cams_system;
grant select, update (seq), delete on cams.task_archive, cams.task_archive_default to cams_system;
grant select on cams.agent_metrics to cams_agent;
grant execute on function cams.month_of(timestamptz), cams.month_cost(text, timestamptz),
  cams.spend(text, numeric, timestamptz),
  cams.archive_task(cams.tasks, text, text, timestamptz, jsonb, json, jsonb) to cams_agent, cams_operator, cams_system;
grant execute on function cams.agent_metrics_between(timestamptz, timestamptz) to cams_agent;
-- Who ends a task need not be an agent.
grant execute on function cams.uuid7_time(uuid) to cams_operator, cams_system;
-- Whose budget it is, the sweep asks for all that were spent of.
grant select (definition_id, current_version) on cams.definitions to cams_system;

-- Down Migration

revoke select (definition_id, current_version) on cams.definitions from cams_system;
revoke execute on function cams.uuid7_time(uuid) from cams_operator, cams_system;
drop view cams.agent_metrics;
drop function cams.agent_metrics_between(timestamptz, timestamptz);
drop trigger tasks_settle_dependants on cams.tasks;
drop function cams.settle_dependants();
drop function cams.archive_task(cams.tasks, text, text, timestamptz, jsonb, json, jsonb);
drop function cams.spend(text, numeric, timestamptz);
drop function cams.month_cost(text, timestamptz);
drop function cams.month_of(timestamptz);
drop table cams.budget_notices;
drop table cams.definition_costs;
drop table cams.task_archive;
