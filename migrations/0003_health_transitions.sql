-- Up Migration

create table cams.health_transitions (
  transition_id bigint generated always as identity,
  ai_agent_address text not null,
  at timestamptz(3) not null,
  from_health_status text not null,
  to_health_status text not null,
  from_status text not null,
  to_status text not null,
  reason text,
  constraint health_transitions_key primary key (transition_id)
);

-- The history of one inbox, newest first.
create index health_transitions_inbox on cams.health_transitions (ai_agent_address, transition_id);

-- A trigger, so that no way of changing a status can forget its record.
create function cams.record_health_transition() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  insert into cams.health_transitions
    (ai_agent_address, at, from_health_status, to_health_status, from_status, to_status, reason)
  values
    (new.ai_agent_address, now(), old.health_status, new.health_status, old.status, new.status, new.status_reason);
  return null;
end
$$;

create trigger agent_inboxes_record_health_transition
after update on cams.agent_inboxes
for each row when (old.health_status <> new.health_status or old.status <> new.status)
execute function cams.record_health_transition();

-- Down Migration

drop trigger agent_inboxes_record_health_transition on cams.agent_inboxes;
drop function cams.record_health_transition();
drop table cams.health_transitions;
