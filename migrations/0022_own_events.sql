-- Up Migration

-- Says what happened in CAMS itself. Whoever is to get it gets it when the event is matched, soon after the commit; where
-- no pattern fits, there is nothing to match. As with MQTT's topics of the server, a pattern that begins with a wildcard
-- does not mean these: a definition that takes in all events would work on the events of its own work for ever.
create function cams.publish_from_cams(type text, subject text, data jsonb, priority integer) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  id uuid := cams.uuid7(clock_timestamp());
  wanted boolean := exists (
    select from cams.subscriptions s
    where s.event_type = any (cams.event_patterns(publish_from_cams.type)) and left(s.event_type, 1) not in ('*', '#'));
begin
  insert into cams.events (event_id, published_at, published_by, source, id, type, subject, time, datacontenttype, data, priority, routed)
  values (id, now(), 'cams', '/cams', id::text, publish_from_cams.type, publish_from_cams.subject, now(), 'application/json',
    jsonb_strip_nulls(publish_from_cams.data)::json, publish_from_cams.priority, not wanted);
  -- For the process that caused it: it tells those who follow, and matches what is wanted.
  raise notice using message = case when wanted then 'cams.event.wanted' else 'cams.event' end;
end
$$;

create function cams.publish_agent_state() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.publish_from_cams(
    case
      when new.to_state = 'CREATED' then 'agent.registered'
      when new.to_state = 'RUNNING' then case when new.from_state = 'PAUSED' then 'agent.resumed' else 'agent.started' end
      else 'agent.' || lower(new.to_state)
    end,
    new.agent_id,
    jsonb_build_object('agentId', new.agent_id, 'aiAgentAddress', new.ai_agent_address, 'from', new.from_state, 'to', new.to_state,
      'reason', new.reason, 'actor', new.actor),
    case when new.to_state = 'FAILED' then 2 else 3 end);
  return null;
end
$$;
create trigger agent_transitions_publish after insert on cams.agent_transitions
for each row execute function cams.publish_agent_state();

create function cams.publish_task_start() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.publish_from_cams('agent.task.started', new.task_id::text,
    jsonb_build_object('taskId', new.task_id, 'type', new.type, 'agentId', new.agent_id, 'definitionId', new.definition_id,
      'definitionVersion', new.definition_version, 'attempt', new.attempt),
    3);
  return null;
end
$$;
create trigger tasks_publish_start after update of lease_token on cams.tasks
for each row when (new.lease_token is not null and new.lease_token is distinct from old.lease_token)
execute function cams.publish_task_start();

create function cams.publish_task_end() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.publish_from_cams('agent.task.' || lower(new.state), new.task_id::text,
    jsonb_build_object('taskId', new.task_id, 'type', new.type, 'agentId', new.agent_id, 'definitionId', new.definition_id,
      'definitionVersion', new.definition_version, 'attempt', new.attempt, 'error', new.error),
    case when new.state in ('FAILED', 'TIMED_OUT') then 2 else 3 end);
  return null;
end
$$;
create trigger task_archive_publish_end after insert on cams.task_archive
for each row execute function cams.publish_task_end();

create function cams.publish_definition() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if new.current_version is null then
    perform cams.publish_from_cams('definition.retired', new.definition_id,
      jsonb_build_object('definitionId', new.definition_id, 'previousVersion', old.current_version), 3);
  else
    perform cams.publish_from_cams('definition.activated', new.definition_id,
      jsonb_build_object('definitionId', new.definition_id, 'version', new.current_version,
        'previousVersion', case when tg_op = 'UPDATE' then old.current_version end), 3);
  end if;
  return null;
end
$$;
create trigger definitions_publish_first after insert on cams.definitions
for each row when (new.current_version is not null)
execute function cams.publish_definition();
create trigger definitions_publish after update of current_version on cams.definitions
for each row when (new.current_version is distinct from old.current_version)
execute function cams.publish_definition();

create function cams.publish_budget() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform cams.publish_from_cams('budget.reached', new.definition_id,
    jsonb_build_object('definitionId', new.definition_id, 'percent', new.percent, 'costUsd', new.cost_usd, 'limitUsd', new.limit_usd,
      'month', new.month),
    case new.percent when 100 then 1 when 90 then 2 else 3 end);
  return null;
end
$$;
create trigger budget_notices_publish after insert on cams.budget_notices
for each row execute function cams.publish_budget();

grant execute on function cams.publish_from_cams(text, text, jsonb, integer) to cams_agent, cams_operator, cams_system;

-- Down Migration

drop trigger budget_notices_publish on cams.budget_notices;
drop function cams.publish_budget();
drop trigger definitions_publish on cams.definitions;
drop trigger definitions_publish_first on cams.definitions;
drop function cams.publish_definition();
drop trigger task_archive_publish_end on cams.task_archive;
drop function cams.publish_task_end();
drop trigger tasks_publish_start on cams.tasks;
drop function cams.publish_task_start();
drop trigger agent_transitions_publish on cams.agent_transitions;
drop function cams.publish_agent_state();
drop function cams.publish_from_cams(text, text, jsonb, integer);
