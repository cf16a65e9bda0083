-- Up Migration

-- What each database role may do: what the statements of its endpoints need, and nothing else. The roles are made before
-- the first migration, because they belong to the whole server. `cams_reader` asks only whether the database answers,
-- and `cams_migrator` owns everything.

-- PostgreSQL lets everybody call a new function.
alter default privileges for role cams_migrator revoke execute on functions from public;
revoke all on schema cams from public;
revoke all on all tables in schema cams from public;
revoke all on all sequences in schema cams from public;
revoke all on all functions in schema cams from public;

grant usage on schema cams to cams_agent, cams_operator, cams_system;

-- Locking a row takes the right to update any column of its table. Where rows are only locked, one column must do.

grant select, insert, update, delete on cams.agent_inboxes to cams_agent;
grant select, insert, update on cams.webhook_secrets to cams_agent;
-- The insertion is by the trigger on agent_inboxes, here and below.
grant select, insert on cams.health_transitions to cams_agent;
grant select, insert, update, delete on cams.messages to cams_agent;
grant select, insert on cams.message_archive to cams_agent;
grant select, insert, update on cams.message_keys to cams_agent;
grant select, insert, update on cams.idempotency_keys to cams_agent;
grant usage on sequence cams.message_arrival to cams_agent;
grant execute on function cams.uuid7(timestamptz), cams.uuid7_time(uuid), cams.iso(timestamptz),
  cams.lock_message_line(text, text) to cams_agent;

grant select, update (revision) on cams.agent_inboxes to cams_operator;
grant select, insert on cams.messages to cams_operator;
grant select, update (seq), delete on cams.message_archive to cams_operator;
grant usage on sequence cams.message_arrival to cams_operator;
grant execute on function cams.lock_message_line(text, text) to cams_operator;

grant select, update on cams.agent_inboxes to cams_system;
grant select, update on cams.webhook_secrets to cams_system;
grant select, insert, update (transition_id), delete on cams.health_transitions to cams_system;
grant select, update, delete on cams.messages to cams_system;
grant select, insert on cams.message_archive to cams_system;
-- Retention looks into it by its own name.
grant select, update (seq), delete on cams.message_archive_default to cams_system;
grant select, update (kept_until), delete on cams.message_keys to cams_system;
grant select, update (kept_until), delete on cams.idempotency_keys to cams_system;
grant execute on function cams.iso(timestamptz), cams.lock_message_line(text, text),
  cams.make_message_partitions(integer), cams.try_make_message_partitions(integer),
  cams.old_message_partitions(integer), cams.drop_message_partition(text, integer) to cams_system;

-- Down Migration

revoke all on all tables in schema cams from cams_agent, cams_operator, cams_system;
revoke all on all sequences in schema cams from cams_agent, cams_operator, cams_system;
revoke all on all functions in schema cams from cams_agent, cams_operator, cams_system;
revoke all on schema cams from cams_agent, cams_operator, cams_system;
grant execute on all functions in schema cams to public;
alter default privileges for role cams_migrator grant execute on functions to public;
