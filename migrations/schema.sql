-- The schema as the migrations leave it: a picture to read, written by `npm run generate`, checked by a test.

-- Everything in it belongs to cams_migrator.

grant usage on schema cams to cams_agent;
grant usage on schema cams to cams_operator;
grant usage on schema cams to cams_reader;
grant usage on schema cams to cams_system;

create table cams.agent_inboxes (
  ai_agent_address text not null,
  inbox_destination_type text not null,
  inbox_name text not null,
  admin_status text not null default 'ACTIVE'::text,
  health_status text not null default 'UNKNOWN'::text,
  quarantined_at timestamp(3) with time zone,
  status text not null generated always as (
CASE
    WHEN ((admin_status = 'ACTIVE'::text) AND (health_status <> ALL (ARRAY['UNHEALTHY'::text, 'OFFLINE'::text])) AND (quarantined_at IS NULL)) THEN 'ACTIVE'::text
    ELSE 'INACTIVE'::text
END) stored,
  status_reason text,
  description text,
  owner_team text,
  heartbeat_interval_seconds integer not null default 60,
  max_delivery_attempts integer not null default 20,
  last_health_check_timestamp timestamp(3) with time zone,
  expected_by timestamp(3) with time zone,
  sweep_after timestamp(3) with time zone,
  registration_timestamp timestamp(3) with time zone not null,
  last_updated_timestamp timestamp(3) with time zone not null,
  updated_by text not null,
  revision integer not null default 1,
  failures_in_row integer not null default 0,
  delivery_paused_until timestamp(3) with time zone,
  constraint agent_inboxes_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint agent_inboxes_audit_decisions TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint agent_inboxes_address_unique PRIMARY KEY (ai_agent_address),
  constraint agent_inboxes_address_canonical CHECK ((((char_length(ai_agent_address) >= 1) AND (char_length(ai_agent_address) <= 255)) AND (ai_agent_address !~ '[\s/?#%A-Z]'::text))),
  constraint agent_inboxes_admin_status CHECK ((admin_status = ANY (ARRAY['ACTIVE'::text, 'INACTIVE'::text]))),
  constraint agent_inboxes_destination_type CHECK ((inbox_destination_type = ANY (ARRAY['GCP_PUBSUB_TOPIC'::text, 'HTTP_ENDPOINT'::text, 'PULL_QUEUE'::text]))),
  constraint agent_inboxes_failures CHECK ((failures_in_row >= 0)),
  constraint agent_inboxes_health_status CHECK ((health_status = ANY (ARRAY['UNKNOWN'::text, 'HEALTHY'::text, 'UNHEALTHY'::text, 'SUSPECT'::text, 'OFFLINE'::text]))),
  constraint agent_inboxes_heartbeat_interval CHECK (((heartbeat_interval_seconds >= 5) AND (heartbeat_interval_seconds <= 86400))),
  constraint agent_inboxes_max_delivery_attempts CHECK (((max_delivery_attempts >= 1) AND (max_delivery_attempts <= 100))),
  constraint agent_inboxes_name_fits_type CHECK (
CASE inbox_destination_type
    WHEN 'GCP_PUBSUB_TOPIC'::text THEN (inbox_name ~ '^projects/[^/\s]+/topics/[^/\s]+$'::text)
    WHEN 'HTTP_ENDPOINT'::text THEN (inbox_name ~ '^https?://[^\s]+$'::text)
    ELSE true
END),
  constraint agent_inboxes_watched_is_expected CHECK (((sweep_after IS NULL) OR (expected_by IS NOT NULL)))
) with (fillfactor=75, autovacuum_vacuum_scale_factor=0.02);
CREATE INDEX agent_inboxes_newest ON cams.agent_inboxes USING btree (registration_timestamp, ai_agent_address);
CREATE INDEX agent_inboxes_pushed ON cams.agent_inboxes USING btree (ai_agent_address) WHERE ((inbox_destination_type <> 'PULL_QUEUE'::text) AND (status = 'ACTIVE'::text));
CREATE INDEX agent_inboxes_status_newest ON cams.agent_inboxes USING btree (status, registration_timestamp, ai_agent_address);
CREATE INDEX agent_inboxes_sweep ON cams.agent_inboxes USING btree (sweep_after) WHERE (sweep_after IS NOT NULL);
CREATE INDEX agent_inboxes_team_newest ON cams.agent_inboxes USING btree (owner_team, registration_timestamp, ai_agent_address) WHERE (owner_team IS NOT NULL);
CREATE CONSTRAINT TRIGGER agent_inboxes_audit AFTER INSERT OR DELETE ON cams.agent_inboxes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('inbox', 'ai_agent_address', 'owner_team', '{status,status_reason,health_status,
  last_health_check_timestamp,expected_by,sweep_after,failures_in_row,delivery_paused_until}');
CREATE CONSTRAINT TRIGGER agent_inboxes_audit_decisions AFTER UPDATE OF ai_agent_address, inbox_destination_type, inbox_name, admin_status, quarantined_at, description, owner_team, heartbeat_interval_seconds, max_delivery_attempts ON cams.agent_inboxes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((((((((old.ai_agent_address IS DISTINCT FROM new.ai_agent_address) OR (old.inbox_destination_type IS DISTINCT FROM new.inbox_destination_type)) OR (old.inbox_name IS DISTINCT FROM new.inbox_name)) OR (old.admin_status IS DISTINCT FROM new.admin_status)) OR (old.quarantined_at IS DISTINCT FROM new.quarantined_at)) OR (old.description IS DISTINCT FROM new.description)) OR (old.owner_team IS DISTINCT FROM new.owner_team)) OR (old.heartbeat_interval_seconds IS DISTINCT FROM new.heartbeat_interval_seconds)) OR (old.max_delivery_attempts IS DISTINCT FROM new.max_delivery_attempts))) EXECUTE FUNCTION record_change('inbox', 'ai_agent_address', 'owner_team', '{status,status_reason,health_status,
  last_health_check_timestamp,expected_by,sweep_after,failures_in_row,delivery_paused_until}');
CREATE TRIGGER agent_inboxes_continue_revision BEFORE INSERT ON cams.agent_inboxes FOR EACH ROW EXECUTE FUNCTION continue_revision('inbox', 'ai_agent_address');
CREATE TRIGGER agent_inboxes_not_truncated BEFORE TRUNCATE ON cams.agent_inboxes FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER agent_inboxes_record_health_transition AFTER UPDATE ON cams.agent_inboxes FOR EACH ROW WHEN (((old.health_status <> new.health_status) OR (old.status <> new.status))) EXECUTE FUNCTION record_health_transition();
grant select, insert, update, delete on cams.agent_inboxes to cams_agent;
grant select, update (revision) on cams.agent_inboxes to cams_operator;
grant select, update on cams.agent_inboxes to cams_system;

create table cams.api_keys (
  key_id uuid not null,
  principal_id text not null,
  secret_hash bytea not null,
  description text,
  addresses text[],
  expires_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  constraint api_keys_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint api_keys_key PRIMARY KEY (key_id),
  constraint api_keys_principal FOREIGN KEY (principal_id) REFERENCES principals(principal_id) ON DELETE CASCADE,
  constraint api_keys_hash_is_sha256 CHECK ((octet_length(secret_hash) = 32))
);
CREATE INDEX api_keys_principal ON cams.api_keys USING btree (principal_id);
CREATE CONSTRAINT TRIGGER api_keys_audit AFTER INSERT OR DELETE OR UPDATE ON cams.api_keys DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('api_key', 'key_id', '', '{secret_hash}');
CREATE TRIGGER api_keys_not_truncated BEFORE TRUNCATE ON cams.api_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select on cams.api_keys to cams_agent;
grant select, insert, delete on cams.api_keys to cams_operator;
grant select on cams.api_keys to cams_system;

create table cams.audit_head (
  only_row boolean not null default true,
  sequence bigint not null,
  at timestamp(3) with time zone not null default '-infinity'::timestamp with time zone,
  hash bytea not null,
  constraint audit_head_key PRIMARY KEY (only_row),
  constraint audit_head_is_one_row CHECK (only_row)
) with (fillfactor=10);
grant select on cams.audit_head to cams_operator;

create table cams.audit_log (
  sequence bigint not null,
  at timestamp(3) with time zone not null,
  entry jsonb not null,
  hash bytea not null,
  actor text not null generated always as ((entry ->> 'actor'::text)) stored,
  action text not null generated always as ((entry ->> 'action'::text)) stored,
  resource_type text not null generated always as ((entry ->> 'resourceType'::text)) stored,
  resource_id text not null generated always as ((entry ->> 'resourceId'::text)) stored,
  owner_team text generated always as ((entry ->> 'ownerTeam'::text)) stored,
  previous_team text generated always as (NULLIF(((entry -> 'before'::text) ->> 'owner_team'::text), (entry ->> 'ownerTeam'::text))) stored,
  constraint audit_log_moves_head TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint audit_log_key PRIMARY KEY (sequence)
);
CREATE INDEX audit_log_action ON cams.audit_log USING btree (resource_type, action, sequence);
CREATE INDEX audit_log_actor ON cams.audit_log USING btree (actor, sequence);
CREATE INDEX audit_log_at ON cams.audit_log USING btree (at, sequence);
CREATE INDEX audit_log_owner_team ON cams.audit_log USING btree (owner_team, sequence) WHERE (owner_team IS NOT NULL);
CREATE INDEX audit_log_previous_team ON cams.audit_log USING btree (previous_team, sequence) WHERE (previous_team IS NOT NULL);
CREATE INDEX audit_log_resource ON cams.audit_log USING btree (resource_id, sequence);
CREATE CONSTRAINT TRIGGER audit_log_moves_head AFTER INSERT ON cams.audit_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION move_audit_head();
CREATE TRIGGER audit_log_not_truncated BEFORE TRUNCATE ON cams.audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select on cams.audit_log to cams_operator;

create table cams.definition_versions (
  definition_id text not null,
  version text not null,
  version_order text not null generated always as (version_order(version)) stored,
  kind text not null generated always as ((document ->> 'kind'::text)) stored,
  document jsonb not null,
  content_hash text not null,
  status text not null,
  source text not null,
  member_lock jsonb,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  published_at timestamp(3) with time zone,
  published_by text,
  deprecated_at timestamp(3) with time zone,
  deprecated_by text,
  words tsvector not null generated always as (definition_words(document)) stored,
  constraint definition_versions_status_key UNIQUE (definition_id, version, status),
  constraint definition_versions_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint definition_versions_key PRIMARY KEY (definition_id, version),
  constraint definition_versions_definition FOREIGN KEY (definition_id, kind) REFERENCES definitions(definition_id, kind),
  constraint definition_versions_deprecated CHECK ((((status = 'DEPRECATED'::text) = (deprecated_at IS NOT NULL)) AND ((status = 'DEPRECATED'::text) = (deprecated_by IS NOT NULL)))),
  constraint definition_versions_document CHECK ((((document #>> '{metadata,id}'::text[]) = definition_id) AND ((document #>> '{metadata,version}'::text[]) = version))),
  constraint definition_versions_hash CHECK ((content_hash ~ '^[0-9a-f]{64}$'::text)),
  constraint definition_versions_lock CHECK ((((status <> 'DRAFT'::text) AND (kind = 'Team'::text)) = (member_lock IS NOT NULL))),
  constraint definition_versions_published CHECK ((((status = 'DRAFT'::text) = (published_at IS NULL)) AND ((status = 'DRAFT'::text) = (published_by IS NULL)))),
  constraint definition_versions_source CHECK ((source = ANY (ARRAY['api'::text, 'yaml'::text, 'loader'::text]))),
  constraint definition_versions_status CHECK ((status = ANY (ARRAY['DRAFT'::text, 'PUBLISHED'::text, 'DEPRECATED'::text]))),
  constraint definition_versions_version CHECK (((char_length(version) <= 64) AND (version ~ '^(0|[1-9]\d{0,14})(\.(0|[1-9]\d{0,14})){2}(-(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$'::text)))
);
CREATE INDEX definition_versions_lock ON cams.definition_versions USING gin (member_lock jsonb_path_ops) WHERE (member_lock IS NOT NULL);
CREATE INDEX definition_versions_ordered ON cams.definition_versions USING btree (definition_id, version_order);
CREATE INDEX definition_versions_tags ON cams.definition_versions USING gin (((document #> '{metadata,tags}'::text[])));
CREATE INDEX definition_versions_words ON cams.definition_versions USING gin (words);
CREATE CONSTRAINT TRIGGER definition_versions_audit AFTER INSERT OR DELETE OR UPDATE ON cams.definition_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_version_change();
CREATE TRIGGER definition_versions_kept BEFORE DELETE OR UPDATE ON cams.definition_versions FOR EACH ROW EXECUTE FUNCTION keep_published();
CREATE TRIGGER definition_versions_not_truncated BEFORE TRUNCATE ON cams.definition_versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select on cams.definition_versions to cams_agent;
grant select, insert, update, delete on cams.definition_versions to cams_operator;

create table cams.definitions (
  definition_id text not null,
  kind text not null,
  owner_team text,
  current_version text,
  current_source text,
  current_status text generated always as (
CASE
    WHEN (current_version IS NOT NULL) THEN 'PUBLISHED'::text
    ELSE NULL::text
END) stored,
  highest_version text not null,
  retired_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  updated_at timestamp(3) with time zone not null,
  updated_by text not null,
  revision integer not null default 1,
  constraint definitions_kind_key UNIQUE (definition_id, kind),
  constraint definitions_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint definitions_audit_decisions TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint definitions_key PRIMARY KEY (definition_id),
  constraint definitions_current FOREIGN KEY (definition_id, current_version, current_status) REFERENCES definition_versions(definition_id, version, status) DEFERRABLE INITIALLY DEFERRED,
  constraint definitions_highest FOREIGN KEY (definition_id, highest_version) REFERENCES definition_versions(definition_id, version) DEFERRABLE INITIALLY DEFERRED,
  constraint definitions_current_has_source CHECK (((current_version IS NULL) = (current_source IS NULL))),
  constraint definitions_id CHECK ((definition_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint definitions_kind CHECK ((kind = ANY (ARRAY['Agent'::text, 'Team'::text]))),
  constraint definitions_retired_has_no_current CHECK (((retired_at IS NULL) OR (current_version IS NULL))),
  constraint definitions_source CHECK ((current_source = ANY (ARRAY['api'::text, 'yaml'::text, 'loader'::text])))
);
CREATE INDEX definitions_newest ON cams.definitions USING btree (created_at, definition_id);
CREATE INDEX definitions_owner_team ON cams.definitions USING btree (owner_team, created_at, definition_id);
CREATE CONSTRAINT TRIGGER definitions_audit AFTER INSERT OR DELETE ON cams.definitions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('definition', 'definition_id', 'owner_team', '{current_status}');
CREATE CONSTRAINT TRIGGER definitions_audit_decisions AFTER UPDATE ON cams.definitions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((((old.definition_id IS DISTINCT FROM new.definition_id) OR (old.kind IS DISTINCT FROM new.kind)) OR (old.owner_team IS DISTINCT FROM new.owner_team)) OR (old.current_version IS DISTINCT FROM new.current_version)) OR (old.current_source IS DISTINCT FROM new.current_source)) OR (old.retired_at IS DISTINCT FROM new.retired_at))) EXECUTE FUNCTION record_change('definition', 'definition_id', 'owner_team', '{current_status}');
CREATE TRIGGER definitions_continue_revision BEFORE INSERT ON cams.definitions FOR EACH ROW EXECUTE FUNCTION continue_revision('definition', 'definition_id');
CREATE TRIGGER definitions_not_truncated BEFORE TRUNCATE ON cams.definitions FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select on cams.definitions to cams_agent;
grant select, insert, update, delete on cams.definitions to cams_operator;

create table cams.health_transitions (
  transition_id bigint not null generated always as identity,
  ai_agent_address text not null,
  at timestamp(3) with time zone not null,
  from_health_status text not null,
  to_health_status text not null,
  from_status text not null,
  to_status text not null,
  reason text,
  constraint health_transitions_key PRIMARY KEY (transition_id)
);
CREATE INDEX health_transitions_inbox ON cams.health_transitions USING btree (ai_agent_address, transition_id);
grant select, insert on cams.health_transitions to cams_agent;
grant select, insert, update (transition_id), delete on cams.health_transitions to cams_system;

create table cams.idempotency_keys (
  principal text not null,
  function text not null,
  key text not null,
  request_hash bytea not null,
  answer json,
  kept_until timestamp(3) with time zone not null,
  constraint idempotency_keys_key PRIMARY KEY (principal, function, key)
);
CREATE INDEX idempotency_keys_kept_until ON cams.idempotency_keys USING btree (kept_until);
grant select, insert, update on cams.idempotency_keys to cams_agent;
grant select, insert, update on cams.idempotency_keys to cams_operator;
grant select, update (kept_until), delete on cams.idempotency_keys to cams_system;

create table cams.message_archive (
  message_id uuid not null,
  seq bigint not null,
  recipient_address text not null,
  sender_address text not null,
  message_type text not null,
  payload json not null,
  metadata jsonb,
  priority smallint not null,
  time_to_live_seconds integer not null,
  ordering_key text,
  correlation_id text,
  in_reply_to uuid,
  reply_to_address text,
  sender_message_id text,
  traceparent text,
  accepted_at timestamp(3) with time zone not null,
  available_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  attempt integer not null,
  lease_token uuid,
  first_leased_at timestamp(3) with time zone,
  attempts jsonb not null,
  status text not null,
  finished_at timestamp(3) with time zone not null,
  delivered_at timestamp(3) with time zone,
  acknowledged_at timestamp(3) with time zone,
  dead_letter_reason text,
  constraint message_archive_key PRIMARY KEY (finished_at, message_id),
  constraint message_archive_status CHECK (
CASE status
    WHEN 'ACKNOWLEDGED'::text THEN (acknowledged_at IS NOT NULL)
    WHEN 'DELIVERED'::text THEN (delivered_at IS NOT NULL)
    WHEN 'DEAD_LETTERED'::text THEN (dead_letter_reason IS NOT NULL)
    ELSE (status = ANY (ARRAY['CANCELLED'::text, 'EXPIRED'::text]))
END)
) partition by range (finished_at);
CREATE INDEX message_archive_correlation ON cams.message_archive USING btree (correlation_id, message_id) WHERE (correlation_id IS NOT NULL);
CREATE INDEX message_archive_dead_letters ON cams.message_archive USING btree (recipient_address, seq) WHERE (status = 'DEAD_LETTERED'::text);
CREATE INDEX message_archive_id ON cams.message_archive USING btree (message_id);
CREATE INDEX message_archive_recipient ON cams.message_archive USING btree (recipient_address, message_id);
CREATE INDEX message_archive_sender ON cams.message_archive USING btree (sender_address, message_id);
grant select, insert on cams.message_archive to cams_agent;
grant select, update (seq), delete on cams.message_archive to cams_operator;
grant select, insert on cams.message_archive to cams_system;
grant select, update (seq), delete on cams.message_archive_default to cams_system;

create table cams.message_keys (
  sender_address text not null,
  sender_message_id text not null,
  message_id uuid not null,
  body_hash bytea not null,
  recipient_address text not null,
  accepted_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  kept_until timestamp(3) with time zone not null,
  constraint message_keys_key PRIMARY KEY (sender_address, sender_message_id)
);
CREATE INDEX message_keys_kept_until ON cams.message_keys USING btree (kept_until);
grant select, insert, update on cams.message_keys to cams_agent;
grant select, update (kept_until), delete on cams.message_keys to cams_system;

create table cams.messages (
  message_id uuid not null,
  seq bigint not null default nextval('message_arrival'::regclass),
  recipient_address text not null,
  sender_address text not null,
  message_type text not null,
  payload json not null,
  metadata jsonb,
  priority smallint not null,
  time_to_live_seconds integer not null,
  ordering_key text,
  correlation_id text,
  in_reply_to uuid,
  reply_to_address text,
  sender_message_id text,
  traceparent text,
  accepted_at timestamp(3) with time zone not null,
  rank_at timestamp(3) with time zone not null,
  available_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  blocked boolean not null default false,
  attempt integer not null default 0,
  last_attempt boolean not null default false,
  lease_token uuid,
  leased_at timestamp(3) with time zone,
  first_leased_at timestamp(3) with time zone,
  attempts jsonb not null default '[]'::jsonb,
  ends_at timestamp(3) with time zone not null generated always as (
CASE
    WHEN (lease_token IS NULL) THEN expires_at
    WHEN last_attempt THEN available_at
    ELSE GREATEST(expires_at, available_at)
END) stored,
  constraint messages_key PRIMARY KEY (message_id),
  constraint messages_blocked_has_key CHECK (((NOT blocked) OR (ordering_key IS NOT NULL))),
  constraint messages_last_attempt_is_leased CHECK (((NOT last_attempt) OR (lease_token IS NOT NULL))),
  constraint messages_lease_is_whole CHECK (((lease_token IS NULL) = (leased_at IS NULL))),
  constraint messages_priority CHECK (((priority >= 1) AND (priority <= 4)))
) with (fillfactor=80, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=10000);
CREATE INDEX messages_claim ON cams.messages USING btree (recipient_address, blocked, rank_at, seq);
CREATE INDEX messages_ended_heads ON cams.messages USING btree (recipient_address, ends_at) WHERE ((ordering_key IS NOT NULL) AND (NOT blocked));
CREATE INDEX messages_ends ON cams.messages USING btree (ends_at) WHERE (priority > 0);
CREATE INDEX messages_ends_blocked ON cams.messages USING btree (ends_at) WHERE blocked;
CREATE INDEX messages_line ON cams.messages USING btree (ordering_key, recipient_address, seq) WHERE (ordering_key IS NOT NULL);
CREATE UNIQUE INDEX messages_one_head_per_line ON cams.messages USING btree (ordering_key, recipient_address) WHERE ((ordering_key IS NOT NULL) AND (NOT blocked));
CREATE TRIGGER messages_advance_line AFTER DELETE ON cams.messages FOR EACH ROW WHEN (((old.ordering_key IS NOT NULL) AND (NOT old.blocked))) EXECUTE FUNCTION advance_message_line();
CREATE TRIGGER messages_join_line BEFORE INSERT ON cams.messages FOR EACH ROW WHEN ((new.ordering_key IS NOT NULL)) EXECUTE FUNCTION join_message_line();
grant select, insert, update, delete on cams.messages to cams_agent;
grant select, insert on cams.messages to cams_operator;
grant select, update, delete on cams.messages to cams_system;
grant usage on sequence cams.message_arrival to cams_agent;
grant usage on sequence cams.message_arrival to cams_operator;

create table cams.principals (
  principal_id text not null,
  role text not null,
  team text,
  addresses text[] not null default '{}'::text[],
  created_at timestamp(3) with time zone not null,
  updated_at timestamp(3) with time zone not null,
  updated_by text not null,
  revision integer not null default 1,
  constraint principals_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint principals_audit_decisions TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint principals_key PRIMARY KEY (principal_id),
  constraint principals_id CHECK ((((char_length(principal_id) >= 1) AND (char_length(principal_id) <= 255)) AND (principal_id !~ '\s'::text))),
  constraint principals_role CHECK ((role = ANY (ARRAY['agent'::text, 'operator'::text, 'admin'::text])))
);
CREATE INDEX principals_newest ON cams.principals USING btree (created_at, principal_id);
CREATE CONSTRAINT TRIGGER principals_audit AFTER INSERT OR DELETE ON cams.principals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('principal', 'principal_id', '', '{}');
CREATE CONSTRAINT TRIGGER principals_audit_decisions AFTER UPDATE ON cams.principals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((old.principal_id IS DISTINCT FROM new.principal_id) OR (old.role IS DISTINCT FROM new.role)) OR (old.team IS DISTINCT FROM new.team)) OR (old.addresses IS DISTINCT FROM new.addresses))) EXECUTE FUNCTION record_change('principal', 'principal_id', '', '{}');
CREATE TRIGGER principals_continue_revision BEFORE INSERT ON cams.principals FOR EACH ROW EXECUTE FUNCTION continue_revision('principal', 'principal_id');
CREATE TRIGGER principals_not_truncated BEFORE TRUNCATE ON cams.principals FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select on cams.principals to cams_agent;
grant select, insert, update, delete on cams.principals to cams_operator;
grant select on cams.principals to cams_system;

create table cams.subscriptions (
  subscription_id uuid not null default uuid7(now()),
  event_type text not null,
  filters jsonb,
  priority smallint not null,
  ai_agent_address text,
  definition_id text,
  from_version text,
  owner_team text,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  revision integer not null default 1,
  constraint subscriptions_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint subscriptions_key PRIMARY KEY (subscription_id),
  constraint subscriptions_definition FOREIGN KEY (definition_id) REFERENCES definitions(definition_id) ON DELETE CASCADE,
  constraint subscriptions_inbox FOREIGN KEY (ai_agent_address) REFERENCES agent_inboxes(ai_agent_address) ON DELETE CASCADE,
  constraint subscriptions_version FOREIGN KEY (definition_id, from_version) REFERENCES definition_versions(definition_id, version),
  constraint subscriptions_priority CHECK (((priority >= 1) AND (priority <= 4))),
  constraint subscriptions_target CHECK ((num_nonnulls(ai_agent_address, definition_id) = 1)),
  constraint subscriptions_trigger CHECK (((from_version IS NULL) OR (definition_id IS NOT NULL)))
);
CREATE INDEX subscriptions_definition ON cams.subscriptions USING btree (definition_id) WHERE (definition_id IS NOT NULL);
CREATE INDEX subscriptions_event_type ON cams.subscriptions USING btree (event_type);
CREATE INDEX subscriptions_inbox ON cams.subscriptions USING btree (ai_agent_address) WHERE (ai_agent_address IS NOT NULL);
CREATE CONSTRAINT TRIGGER subscriptions_audit AFTER INSERT OR DELETE OR UPDATE ON cams.subscriptions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('subscription', 'subscription_id', 'owner_team', '{}');
CREATE TRIGGER subscriptions_not_truncated BEFORE TRUNCATE ON cams.subscriptions FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select, insert, delete on cams.subscriptions to cams_operator;

create table cams.webhook_secrets (
  ai_agent_address text not null,
  secret bytea not null,
  previous_secret bytea,
  previous_until timestamp(3) with time zone,
  constraint webhook_secrets_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint webhook_secrets_key PRIMARY KEY (ai_agent_address),
  constraint webhook_secrets_inbox FOREIGN KEY (ai_agent_address) REFERENCES agent_inboxes(ai_agent_address) ON DELETE CASCADE,
  constraint webhook_secrets_previous_is_whole CHECK (((previous_secret IS NULL) = (previous_until IS NULL)))
);
CREATE CONSTRAINT TRIGGER webhook_secrets_audit AFTER UPDATE ON cams.webhook_secrets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.previous_secret = old.secret)) EXECUTE FUNCTION record_secret_rotation();
grant select, insert, update on cams.webhook_secrets to cams_agent;
grant select, update on cams.webhook_secrets to cams_system;

CREATE OR REPLACE FUNCTION cams.add_audit_entry(what jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION cams.advance_message_line()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  next uuid;
begin
  -- A deleted inbox takes its lines along: of thousands not one need be locked.
  if not exists (select from cams.agent_inboxes i where i.ai_agent_address = old.recipient_address) then
    return null;
  end if;
  perform cams.lock_message_line(old.recipient_address, old.ordering_key);
  loop
    -- Behind the head, not from the line's beginning: an old transaction may keep thousands of dead rows there.
    select m.message_id into next from cams.messages m
    where m.recipient_address = old.recipient_address and m.ordering_key = old.ordering_key and m.seq > old.seq
    order by m.seq
    limit 1;
    exit when not found;
    update cams.messages set blocked = false where message_id = next;
    -- Not found: it left while this waited for its row. Then the one behind it.
    exit when found;
  end loop;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.audit_hash(previous bytea, sequence bigint, at timestamp with time zone, entry jsonb)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select sha256(previous || convert_to(sequence || ' ' || extract(epoch from at) || ' ' || entry::text, 'UTF8'))
$function$;
grant execute on function cams.audit_hash(previous bytea, sequence bigint, at timestamp with time zone, entry jsonb) to cams_operator;

CREATE OR REPLACE FUNCTION cams.continue_revision()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.revision := new.revision + coalesce((
    select (a.entry -> 'before' ->> 'revision')::integer
    from cams.audit_log a
    where a.resource_id = to_jsonb(new) ->> tg_argv[1] and a.resource_type = tg_argv[0] and a.action = 'deleted'
    order by a.sequence desc
    limit 1), 0);
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION cams.definition_words(document jsonb)
 RETURNS tsvector
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select to_tsvector('simple', regexp_replace(
    coalesce(document #>> '{metadata,id}', '') || ' ' || coalesce(document #>> '{metadata,name}', '') || ' '
      || coalesce(document #>> '{metadata,role}', '') || ' ' || coalesce(document #>> '{metadata,description}', '') || ' '
      || coalesce(document #>> '{metadata,tags}', ''),
    '[-._/@:"]+', ' ', 'g'))
$function$;
grant execute on function cams.definition_words(document jsonb) to cams_operator;

CREATE OR REPLACE FUNCTION cams.drop_message_partition(name text, kept_days integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1500ms'
AS $function$
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.message_archive', 7261));
  if not exists (select from cams.old_message_partitions(kept_days) old where old = name) then
    return null;
  end if;
  execute format('drop table cams.%I', name);
  return true;
exception when lock_not_available then
  return false;
end
$function$;
grant execute on function cams.drop_message_partition(name text, kept_days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.iso(at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$function$;
grant execute on function cams.iso(at timestamp with time zone) to cams_agent;
grant execute on function cams.iso(at timestamp with time zone) to cams_operator;
grant execute on function cams.iso(at timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.join_message_line()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.lock_message_line(new.recipient_address, new.ordering_key);
  new.seq := nextval('cams.message_arrival');
  new.blocked := exists (
    select from cams.messages m
    where m.recipient_address = new.recipient_address and m.ordering_key = new.ordering_key
  );
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION cams.keep_published()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.status = 'DRAFT' then
    return case when tg_op = 'DELETE' then old else new end;
  end if;
  if tg_op = 'UPDATE' and (new.status = old.status or (old.status, new.status) = ('PUBLISHED', 'DEPRECATED'))
    and (new.definition_id, new.version, new.document, new.content_hash, new.source, new.member_lock, new.created_at,
      new.created_by, new.published_at, new.published_by)
    is not distinct from (old.definition_id, old.version, old.document, old.content_hash, old.source, old.member_lock,
      old.created_at, old.created_by, old.published_at, old.published_by)
    and (old.deprecated_at is null
      or (new.deprecated_at, new.deprecated_by) is not distinct from (old.deprecated_at, old.deprecated_by)) then
    return new;
  end if;
  raise exception 'version % of % was published: it never changes', old.version, old.definition_id
    using errcode = 'check_violation', schema = 'cams', table = 'definition_versions',
      constraint = 'definition_versions_immutable';
end
$function$;

CREATE OR REPLACE FUNCTION cams.lock_message_line(recipient text, key text)
 RETURNS void
 LANGUAGE sql
AS $function$
  select pg_advisory_xact_lock(hashtextextended(recipient || E'\n' || key, 7261))
$function$;
grant execute on function cams.lock_message_line(recipient text, key text) to cams_agent;
grant execute on function cams.lock_message_line(recipient text, key text) to cams_operator;
grant execute on function cams.lock_message_line(recipient text, key text) to cams_system;

CREATE OR REPLACE FUNCTION cams.make_message_partitions(days integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  today date := (now() at time zone 'UTC')::date;
  made integer := 0;
  day date;
  name text;
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.message_archive', 7261));
  for day in select today + n from generate_series(0, days) n loop
    name := 'message_archive_' || to_char(day, 'YYYYMMDD');
    continue when to_regclass('cams.' || name) is not null;
    begin
      execute format(
        'create table cams.%I partition of cams.message_archive for values from (%L) to (%L)',
        name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
      made := made + 1;
    exception when check_violation then
      -- Rows of that day are in the default partition already: it goes on serving them.
      raise warning 'messages of % are in message_archive_default', day;
    end;
  end loop;
  return made;
end
$function$;
grant execute on function cams.make_message_partitions(days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.move_audit_head()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Not as "none behind it": that may be planned as a walk through the whole log.
  if new.sequence = (select max(a.sequence) from cams.audit_log a) then
    update cams.audit_head set sequence = new.sequence, at = new.at, hash = new.hash;
  end if;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.old_message_partitions(kept_days integer)
 RETURNS SETOF text
 LANGUAGE sql
 STABLE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
  select partition.relname
  from pg_inherits i
  join pg_class partition on partition.oid = i.inhrelid
  cross join lateral (
    select substring(pg_get_expr(partition.relpartbound, partition.oid) from 'TO \(''([^'']+)''\)')::timestamptz as ends
  ) bounds
  where i.inhparent = 'cams.message_archive'::regclass
    and ends <= least(now() - make_interval(days => kept_days), date_trunc('day', now()))
  order by ends
$function$;
grant execute on function cams.old_message_partitions(kept_days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.record_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION cams.record_health_transition()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into cams.health_transitions
    (ai_agent_address, at, from_health_status, to_health_status, from_status, to_status, reason)
  values
    (new.ai_agent_address, now(), old.health_status, new.health_status, old.status, new.status, new.status_reason);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.record_secret_rotation()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.add_audit_entry(jsonb_strip_nulls(jsonb_build_object(
    'action', 'secret_rotated', 'resourceType', 'inbox', 'resourceId', new.ai_agent_address,
    'ownerTeam', (select i.owner_team from cams.agent_inboxes i where i.ai_agent_address = new.ai_agent_address))));
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.record_version_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
declare
  hidden constant text[] := '{words,version_order,kind}';
  before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - hidden end;
  after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - hidden end;
  id text := coalesce(after, before) ->> 'definition_id';
begin
  perform cams.add_audit_entry(jsonb_build_object(
    'action', case
      when tg_op = 'DELETE' then 'deleted'
      when before ->> 'status' is distinct from after ->> 'status' and after ->> 'status' <> 'DRAFT'
        then lower(after ->> 'status')
      when tg_op = 'INSERT' then 'created'
      else 'updated'
    end,
    'resourceType', 'definition_version', 'resourceId', id,
    'ownerTeam', (select d.owner_team from cams.definitions d where d.definition_id = id),
    'before', before, 'after', after));
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.refuse_truncate()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'cams.% is audited: delete its rows', tg_table_name;
end
$function$;

CREATE OR REPLACE FUNCTION cams.try_make_message_partitions(days integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1500ms'
AS $function$
begin
  return cams.make_message_partitions(days);
exception when lock_not_available then
  return null;
end
$function$;
grant execute on function cams.try_make_message_partitions(days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.uuid7(at timestamp with time zone)
 RETURNS uuid
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$function$;
grant execute on function cams.uuid7(at timestamp with time zone) to cams_agent;
grant execute on function cams.uuid7(at timestamp with time zone) to cams_operator;

CREATE OR REPLACE FUNCTION cams.uuid7_time(id uuid)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select to_timestamp(('x0000' || translate(left(id::text, 13), '-', ''))::bit(64)::bigint / 1000.0)
$function$;
grant execute on function cams.uuid7_time(id uuid) to cams_agent;

CREATE OR REPLACE FUNCTION cams.version_order(version text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select string_agg(lpad(part, 15, '0'), '' order by place) || coalesce((
      select string_agg(case when id ~ '^\d+$' then '0' || lpad(id, 15, '0') else '1' || id end || ' ', '' order by n)
      from string_to_table(substring(version from '-(.*)$'), '.') with ordinality p (id, n)
    ), '~')
  from string_to_table(split_part(version, '-', 1), '.') with ordinality c (part, place)
$function$;
grant execute on function cams.version_order(version text) to cams_agent;
grant execute on function cams.version_order(version text) to cams_operator;

