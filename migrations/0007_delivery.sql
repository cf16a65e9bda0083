-- Up Migration

-- What the dispatcher learned of a destination. No index holds them: a failed attempt rewrites the row in place.
alter table cams.agent_inboxes
  add column failures_in_row integer not null default 0,
  add column delivery_paused_until timestamptz(3),
  add constraint agent_inboxes_failures check (failures_in_row >= 0);

-- The dispatcher: the next inbox, by address, that may be delivered to. It leaps between this index and the recipients
-- of live messages, so that neither many idle inboxes nor many waiting pull queues cost it anything.
create index agent_inboxes_pushed on cams.agent_inboxes (ai_agent_address)
  where inbox_destination_type <> 'PULL_QUEUE' and status = 'ACTIVE';

-- What signs an inbox's webhook calls, encrypted; apart from the inbox, so that who reads inboxes cannot read these.
create table cams.webhook_secrets (
  ai_agent_address text not null,
  secret bytea not null,
  previous_secret bytea,
  previous_until timestamptz(3),

  constraint webhook_secrets_key primary key (ai_agent_address),
  constraint webhook_secrets_inbox foreign key (ai_agent_address) references cams.agent_inboxes on delete cascade,
  constraint webhook_secrets_previous_is_whole check ((previous_secret is null) = (previous_until is null))
);

-- Redrive: the dead letters of one inbox in order of arrival.
create index message_archive_dead_letters on cams.message_archive (recipient_address, seq)
  where status = 'DEAD_LETTERED';

-- Down Migration

drop index cams.message_archive_dead_letters;
drop table cams.webhook_secrets;
drop index cams.agent_inboxes_pushed;
alter table cams.agent_inboxes
  drop constraint agent_inboxes_failures,
  drop column delivery_paused_until,
  drop column failures_in_row;
