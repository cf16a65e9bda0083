-- Up Migration

-- Who is to be told of which events: a pattern and filters, leading to an address or to a definition.
create table cams.subscriptions (
  subscription_id uuid not null default cams.uuid7(now()),
  event_type text not null,
  filters jsonb,
  priority smallint not null,
  ai_agent_address text,
  definition_id text,
  -- A trigger of that version of the definition: made when it became current, gone when another does.
  from_version text,
  owner_team text,
  created_at timestamptz(3) not null,
  created_by text not null,
  revision integer not null default 1,
  constraint subscriptions_key primary key (subscription_id),
  constraint subscriptions_target check (num_nonnulls(ai_agent_address, definition_id) = 1),
  constraint subscriptions_priority check (priority between 1 and 4),
  constraint subscriptions_trigger check (from_version is null or definition_id is not null),
  constraint subscriptions_inbox foreign key (ai_agent_address) references cams.agent_inboxes on delete cascade,
  constraint subscriptions_definition foreign key (definition_id) references cams.definitions on delete cascade,
  constraint subscriptions_version foreign key (definition_id, from_version)
    references cams.definition_versions (definition_id, version)
);

-- The patterns that could match an event's type can all be named.
create index subscriptions_event_type on cams.subscriptions (event_type);
-- What goes with an inbox or a definition, and a definition's triggers.
create index subscriptions_inbox on cams.subscriptions (ai_agent_address) where ai_agent_address is not null;
create index subscriptions_definition on cams.subscriptions (definition_id) where definition_id is not null;

create constraint trigger subscriptions_audit after insert or update or delete on cams.subscriptions
deferrable initially deferred for each row
execute function cams.record_change('subscription', 'subscription_id', 'owner_team', '{}');
create trigger subscriptions_not_truncated before truncate on cams.subscriptions execute function cams.refuse_truncate();

grant select, insert, delete on cams.subscriptions to cams_operator;
grant execute on function cams.uuid7(timestamptz) to cams_operator;

-- Down Migration

revoke all on function cams.uuid7(timestamptz) from cams_operator;
drop table cams.subscriptions;
