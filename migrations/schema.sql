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
  quarantine_reason text,
  quarantined_by text,
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
  constraint agent_inboxes_quarantine CHECK (((quarantined_at IS NOT NULL) OR ((quarantine_reason IS NULL) AND (quarantined_by IS NULL)))),
  constraint agent_inboxes_watched_is_expected CHECK (((sweep_after IS NULL) OR (expected_by IS NOT NULL)))
) with (fillfactor=75, autovacuum_vacuum_scale_factor=0.02);
CREATE INDEX agent_inboxes_health ON cams.agent_inboxes USING btree (health_status);
CREATE INDEX agent_inboxes_newest ON cams.agent_inboxes USING btree (registration_timestamp, ai_agent_address);
CREATE INDEX agent_inboxes_pushed ON cams.agent_inboxes USING btree (ai_agent_address) WHERE ((inbox_destination_type <> 'PULL_QUEUE'::text) AND (status = 'ACTIVE'::text));
CREATE INDEX agent_inboxes_quarantined ON cams.agent_inboxes USING btree (ai_agent_address) WHERE (quarantined_at IS NOT NULL);
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
grant select, update (last_updated_timestamp), update (quarantine_reason), update (quarantined_at), update (quarantined_by), update (revision), update (status_reason), update (updated_by) on cams.agent_inboxes to cams_operator;
grant select, update on cams.agent_inboxes to cams_system;

create table cams.agent_transitions (
  transition_id bigint not null generated always as identity,
  agent_id text not null,
  ai_agent_address text not null,
  at timestamp(3) with time zone not null,
  from_state text,
  to_state text not null,
  reason text,
  actor text not null,
  constraint agent_transitions_key PRIMARY KEY (transition_id)
);
CREATE INDEX agent_transitions_agent ON cams.agent_transitions USING btree (agent_id, transition_id);
CREATE TRIGGER agent_transitions_publish AFTER INSERT ON cams.agent_transitions FOR EACH ROW EXECUTE FUNCTION publish_agent_state();
grant select, insert on cams.agent_transitions to cams_agent;
grant select, insert, update (transition_id), delete on cams.agent_transitions to cams_system;

create table cams.agents (
  agent_id text not null,
  name text not null,
  type text not null,
  description text,
  state text not null default 'CREATED'::text,
  state_reason text,
  metadata jsonb not null default '{}'::jsonb,
  max_concurrent_tasks integer not null default 5,
  task_queue_size integer not null default 100,
  task_timeout_seconds integer not null default 300,
  resources jsonb,
  tags text[] not null default '{}'::text[],
  capabilities text[] not null default '{}'::text[],
  definition_id text,
  definition_version text,
  definition_status text generated always as (
CASE
    WHEN (definition_id IS NOT NULL) THEN 'PUBLISHED'::text
    ELSE NULL::text
END) stored,
  ai_agent_address text not null,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  updated_at timestamp(3) with time zone not null,
  updated_by text not null,
  revision integer not null default 1,
  words tsvector not null generated always as (agent_words(agent_id, name, type, description, tags, metadata)) stored,
  constraint agents_inbox_key UNIQUE (ai_agent_address),
  constraint agents_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint agents_key PRIMARY KEY (agent_id),
  constraint agents_definition FOREIGN KEY (definition_id, definition_status) REFERENCES definitions(definition_id, current_status),
  constraint agents_inbox FOREIGN KEY (ai_agent_address) REFERENCES agent_inboxes(ai_agent_address),
  constraint agents_version FOREIGN KEY (definition_id, definition_version) REFERENCES definition_versions(definition_id, version),
  constraint agents_config CHECK ((((max_concurrent_tasks >= 1) AND (max_concurrent_tasks <= 1000)) AND ((task_queue_size >= 0) AND (task_queue_size <= 100000)) AND ((task_timeout_seconds >= 1) AND (task_timeout_seconds <= 2592000)))),
  constraint agents_definition_is_whole CHECK (((definition_id IS NULL) = (definition_version IS NULL))),
  constraint agents_id CHECK (((agent_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text) AND (agent_id <> 'count'::text))),
  constraint agents_state CHECK ((state = ANY (ARRAY['CREATED'::text, 'RUNNING'::text, 'PAUSED'::text, 'DRAINING'::text, 'STOPPED'::text, 'FAILED'::text])))
) with (fillfactor=90);
CREATE INDEX agents_capabilities ON cams.agents USING gin (capabilities);
CREATE INDEX agents_definition_newest ON cams.agents USING btree (definition_id, created_at, agent_id) WHERE (definition_id IS NOT NULL);
CREATE INDEX agents_newest ON cams.agents USING btree (created_at, agent_id);
CREATE INDEX agents_state_newest ON cams.agents USING btree (state, created_at, agent_id);
CREATE INDEX agents_tags ON cams.agents USING gin (tags);
CREATE INDEX agents_type_newest ON cams.agents USING btree (type, created_at, agent_id);
CREATE INDEX agents_words ON cams.agents USING gin (words);
CREATE CONSTRAINT TRIGGER agents_audit AFTER INSERT OR DELETE OR UPDATE ON cams.agents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_agent_change();
CREATE TRIGGER agents_change_state AFTER UPDATE OF state ON cams.agents FOR EACH ROW WHEN ((old.state <> new.state)) EXECUTE FUNCTION change_agent_state();
CREATE TRIGGER agents_continue_revision BEFORE INSERT ON cams.agents FOR EACH ROW EXECUTE FUNCTION continue_revision('agent', 'agent_id');
CREATE TRIGGER agents_not_truncated BEFORE TRUNCATE ON cams.agents FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER agents_register AFTER INSERT ON cams.agents FOR EACH ROW EXECUTE FUNCTION change_agent_state();
grant select, insert, update, delete on cams.agents to cams_agent;
grant select on cams.agents to cams_operator;
grant select, update (revision), update (state), update (state_reason), update (updated_at), update (updated_by) on cams.agents to cams_system;

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

create table cams.budget_notices (
  definition_id text not null,
  month date not null,
  percent smallint not null,
  at timestamp(3) with time zone not null,
  limit_usd numeric(18,6) not null,
  cost_usd numeric(18,6) not null,
  constraint budget_notices_key PRIMARY KEY (definition_id, month, percent, limit_usd),
  constraint budget_notices_percent CHECK ((percent = ANY (ARRAY[70, 90, 100])))
);
CREATE TRIGGER budget_notices_publish AFTER INSERT ON cams.budget_notices FOR EACH ROW EXECUTE FUNCTION publish_budget();
grant select, insert on cams.budget_notices to cams_system;

create table cams.definition_costs (
  definition_id text not null,
  month date not null,
  slot smallint not null,
  cost_usd numeric(18,6) not null,
  constraint definition_costs_key PRIMARY KEY (definition_id, month, slot)
) with (fillfactor=50);
grant select, insert, update on cams.definition_costs to cams_agent;
grant select, insert, update on cams.definition_costs to cams_operator;
grant select, insert, update on cams.definition_costs to cams_system;

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
  config jsonb generated always as ((document -> 'config'::text)) stored,
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
grant select (config), select (definition_id), select (version) on cams.definition_versions to cams_system;

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
  constraint definitions_current_status_key UNIQUE (definition_id, current_status),
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
CREATE TRIGGER definitions_publish AFTER UPDATE OF current_version ON cams.definitions FOR EACH ROW WHEN ((new.current_version IS DISTINCT FROM old.current_version)) EXECUTE FUNCTION publish_definition();
CREATE TRIGGER definitions_publish_first AFTER INSERT ON cams.definitions FOR EACH ROW WHEN ((new.current_version IS NOT NULL)) EXECUTE FUNCTION publish_definition();
grant select on cams.definitions to cams_agent;
grant select, insert, update, delete on cams.definitions to cams_operator;
grant select, select (current_version), select (definition_id) on cams.definitions to cams_system;

create table cams.event_keys (
  source text not null,
  id text not null,
  event_id uuid not null,
  content_hash bytea not null,
  messages integer not null,
  tasks integer not null,
  kept_until timestamp(3) with time zone not null,
  constraint event_keys_key PRIMARY KEY (source, id)
);
CREATE INDEX event_keys_kept_until ON cams.event_keys USING btree (kept_until);
grant select, insert, update on cams.event_keys to cams_agent;
grant select, insert, update on cams.event_keys to cams_operator;
grant select, insert, update, delete on cams.event_keys to cams_system;

create table cams.events (
  event_id uuid not null,
  transaction_id xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('event_arrival'::regclass),
  published_at timestamp(3) with time zone not null,
  published_by text not null,
  source text not null,
  id text not null,
  type text not null,
  subject text,
  time timestamp with time zone not null,
  datacontenttype text,
  dataschema text,
  extensions jsonb,
  data json,
  data_base64 text,
  priority smallint not null,
  traceparent text,
  routed boolean not null,
  messages integer not null default 0,
  tasks integer not null default 0,
  unhandled boolean not null generated always as ((routed AND ((messages + tasks) = 0) AND (source <> ALL (ARRAY['/cams'::text, '/v1/events'::text])))) stored,
  constraint events_key PRIMARY KEY (published_at, event_id),
  constraint events_data CHECK ((num_nonnulls(data, data_base64) < 2)),
  constraint events_priority CHECK (((priority >= 1) AND (priority <= 4)))
) partition by range (published_at);
CREATE INDEX events_id ON cams.events USING btree (event_id);
CREATE INDEX events_place ON cams.events USING btree (transaction_id, seq);
CREATE INDEX events_source ON cams.events USING btree (source, event_id);
CREATE INDEX events_subject ON cams.events USING btree (subject, event_id) WHERE (subject IS NOT NULL);
CREATE INDEX events_type ON cams.events USING btree (type COLLATE "C", event_id);
CREATE INDEX events_unhandled ON cams.events USING btree (event_id) WHERE unhandled;
CREATE INDEX events_unrouted ON cams.events USING btree (published_at) WHERE (NOT routed);
grant select, insert, update (messages), update (routed), update (tasks) on cams.events to cams_agent;
grant select, insert, update (messages), update (routed), update (tasks) on cams.events to cams_operator;
grant select, insert, update (messages), update (routed), update (tasks), delete on cams.events to cams_system;
grant select, update (seq), delete on cams.events_default to cams_system;
grant usage on sequence cams.event_arrival to cams_agent;
grant usage on sequence cams.event_arrival to cams_operator;
grant usage on sequence cams.event_arrival to cams_system;

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
grant insert on cams.health_transitions to cams_operator;
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
grant select, insert, update (attempt), update (attempts), update (available_at), update (last_attempt), update (lease_token), update (leased_at) on cams.messages to cams_operator;
grant select, insert, update, delete on cams.messages to cams_system;
grant usage on sequence cams.message_arrival to cams_agent;
grant usage on sequence cams.message_arrival to cams_operator;
grant usage on sequence cams.message_arrival to cams_system;

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

create table cams.schedule_runs (
  run_id uuid not null,
  schedule_id uuid not null,
  scheduled_for timestamp(3) with time zone not null,
  outcome text not null,
  late boolean not null,
  manual boolean not null,
  at timestamp(3) with time zone not null,
  event_id uuid,
  actor text not null,
  constraint schedule_runs_key PRIMARY KEY (run_id),
  constraint schedule_runs_schedule FOREIGN KEY (schedule_id) REFERENCES schedules(schedule_id) ON DELETE CASCADE,
  constraint schedule_runs_outcome CHECK (
CASE outcome
    WHEN 'FIRED'::text THEN (event_id IS NOT NULL)
    ELSE ((outcome = 'SKIPPED'::text) AND (event_id IS NULL) AND (NOT manual))
END)
);
CREATE INDEX schedule_runs_at ON cams.schedule_runs USING btree (at);
CREATE UNIQUE INDEX schedule_runs_once ON cams.schedule_runs USING btree (schedule_id, scheduled_for) WHERE (NOT manual);
CREATE INDEX schedule_runs_schedule ON cams.schedule_runs USING btree (schedule_id, scheduled_for, run_id);
grant select, insert on cams.schedule_runs to cams_operator;
grant select, insert, update (at), delete on cams.schedule_runs to cams_system;

create table cams.schedules (
  schedule_id uuid not null,
  name text not null,
  event_type text not null,
  payload text,
  priority smallint not null,
  cron text,
  time_zone text,
  run_at timestamp(3) with time zone,
  enabled boolean not null,
  misfire text not null,
  next_run_at timestamp(3) with time zone,
  last_run_at timestamp(3) with time zone,
  owner_team text,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  updated_at timestamp(3) with time zone not null,
  updated_by text not null,
  revision integer not null default 1,
  constraint schedules_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint schedules_audit_decisions TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint schedules_key PRIMARY KEY (schedule_id),
  constraint schedules_misfire CHECK ((misfire = ANY (ARRAY['skip'::text, 'once'::text, 'all'::text]))),
  constraint schedules_priority CHECK (((priority >= 1) AND (priority <= 4))),
  constraint schedules_rest CHECK ((enabled OR (next_run_at IS NULL))),
  constraint schedules_times CHECK (((num_nonnulls(cron, run_at) = 1) AND ((cron IS NULL) = (time_zone IS NULL))))
);
CREATE INDEX schedules_due ON cams.schedules USING btree (next_run_at) WHERE (next_run_at IS NOT NULL);
CREATE CONSTRAINT TRIGGER schedules_audit AFTER INSERT OR DELETE ON cams.schedules DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_change('schedule', 'schedule_id', 'owner_team', '{next_run_at,last_run_at}');
CREATE CONSTRAINT TRIGGER schedules_audit_decisions AFTER UPDATE ON cams.schedules DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.revision <> new.revision)) EXECUTE FUNCTION record_change('schedule', 'schedule_id', 'owner_team', '{next_run_at,last_run_at}');
CREATE TRIGGER schedules_not_truncated BEFORE TRUNCATE ON cams.schedules FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
grant select, insert, update, delete on cams.schedules to cams_operator;
grant select, update (last_run_at), update (next_run_at) on cams.schedules to cams_system;

create table cams.subscriptions (
  subscription_id uuid not null default uuid7(now()),
  event_type text not null,
  filters jsonb,
  priority smallint,
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
grant select, insert (ai_agent_address), insert (created_at), insert (created_by), insert (definition_id), insert (event_type), insert (filters), insert (owner_team), insert (priority), insert (subscription_id), delete on cams.subscriptions to cams_agent;
grant select, insert, delete on cams.subscriptions to cams_operator;
grant select on cams.subscriptions to cams_system;

create table cams.task_archive (
  task_id uuid not null,
  seq bigint not null,
  pool text,
  agent_id text,
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
  approval_at timestamp(3) with time zone,
  approval_by text,
  approval_reason text,
  timeout_seconds integer not null,
  max_attempts integer not null,
  submitted_at timestamp(3) with time zone not null,
  submitted_by text not null,
  traceparent text,
  attempt integer not null,
  lease_token uuid,
  started_at timestamp(3) with time zone,
  progress jsonb,
  tokens bigint,
  cost_usd numeric(18,6),
  tool_calls integer,
  attempts jsonb not null,
  state text not null,
  finished_at timestamp(3) with time zone not null,
  result json,
  error jsonb,
  rating smallint,
  rating_comment text,
  rated_at timestamp(3) with time zone,
  rated_by text,
  constraint task_archive_key PRIMARY KEY (finished_at, task_id),
  constraint task_archive_rating CHECK ((((rating >= 1) AND (rating <= 5)) AND (num_nulls(rating, rated_at, rated_by) = ANY (ARRAY[0, 3])))),
  constraint task_archive_result CHECK (((result IS NULL) OR (state = 'COMPLETED'::text))),
  constraint task_archive_state CHECK (
CASE state
    WHEN 'COMPLETED'::text THEN ((started_at IS NOT NULL) AND (error IS NULL))
    WHEN 'FAILED'::text THEN (error IS NOT NULL)
    WHEN 'TIMED_OUT'::text THEN ((started_at IS NOT NULL) AND (error IS NOT NULL))
    WHEN 'REJECTED'::text THEN (approval = 'REJECTED'::text)
    ELSE (state = 'CANCELLED'::text)
END)
) partition by range (finished_at);
CREATE INDEX task_archive_address ON cams.task_archive USING btree (ai_agent_address, task_id) WHERE (ai_agent_address IS NOT NULL);
CREATE INDEX task_archive_agent ON cams.task_archive USING btree (agent_id, task_id) WHERE (agent_id IS NOT NULL);
CREATE INDEX task_archive_definition ON cams.task_archive USING btree (definition_id, task_id) WHERE (definition_id IS NOT NULL);
CREATE INDEX task_archive_figures ON cams.task_archive USING btree (definition_id, finished_at) WHERE (definition_id IS NOT NULL);
CREATE INDEX task_archive_id ON cams.task_archive USING btree (task_id);
CREATE INDEX task_archive_submitted_by ON cams.task_archive USING btree (submitted_by, task_id);
CREATE TRIGGER task_archive_publish_end AFTER INSERT ON cams.task_archive FOR EACH ROW EXECUTE FUNCTION publish_task_end();
grant select, insert, update (rated_at), update (rated_by), update (rating), update (rating_comment) on cams.task_archive to cams_agent;
grant select, insert on cams.task_archive to cams_operator;
grant select, insert, update (seq), delete on cams.task_archive to cams_system;
grant select, update (seq), delete on cams.task_archive_default to cams_system;

create table cams.task_dependencies (
  depends_on uuid not null,
  task_id uuid not null,
  constraint task_dependencies_key PRIMARY KEY (depends_on, task_id),
  constraint task_dependencies_task FOREIGN KEY (task_id) REFERENCES tasks(task_id) ON DELETE CASCADE
);
CREATE INDEX task_dependencies_task ON cams.task_dependencies USING btree (task_id);
grant select, insert, delete on cams.task_dependencies to cams_agent;
grant select, delete on cams.task_dependencies to cams_operator;
grant select, delete on cams.task_dependencies to cams_system;

create table cams.tasks (
  task_id uuid not null,
  seq bigint not null default nextval('task_arrival'::regclass),
  pool text,
  agent_id text,
  definition_id text,
  definition_version text,
  type text not null,
  name text,
  payload json not null,
  priority smallint not null,
  cause_kind text not null,
  cause_id text,
  depends_on uuid[] not null default '{}'::uuid[],
  waiting_for integer not null default 0,
  approval text,
  approval_at timestamp(3) with time zone,
  approval_by text,
  approval_reason text,
  timeout_seconds integer not null,
  max_attempts integer not null,
  submitted_at timestamp(3) with time zone not null,
  submitted_by text not null,
  traceparent text,
  rank_at timestamp(3) with time zone not null,
  available_at timestamp(3) with time zone not null,
  attempt integer not null default 0,
  last_attempt boolean not null default false,
  lease_token uuid,
  lease_seconds integer,
  leased_at timestamp(3) with time zone,
  lease_until timestamp(3) with time zone,
  deadline_at timestamp(3) with time zone,
  progress jsonb,
  tokens bigint,
  cost_usd numeric(18,6),
  tool_calls integer,
  attempt_tokens bigint,
  attempt_cost_usd numeric(18,6),
  attempt_tool_calls integer,
  attempts jsonb not null default '[]'::jsonb,
  queue text not null generated always as (
CASE
    WHEN (pool IS NULL) THEN ('agent/'::text || agent_id)
    ELSE ('definition/'::text || pool)
END) stored,
  pool_status text generated always as (
CASE
    WHEN (pool IS NOT NULL) THEN 'PUBLISHED'::text
    ELSE NULL::text
END) stored,
  waiting boolean not null generated always as (((waiting_for > 0) OR COALESCE((approval = 'REQUIRED'::text), false))) stored,
  ends_at timestamp(3) with time zone generated always as (
CASE
    WHEN (last_attempt OR (lease_until >= deadline_at)) THEN lease_until
    ELSE NULL::timestamp with time zone
END) stored,
  constraint tasks_audit TRIGGER DEFERRABLE INITIALLY DEFERRED,
  constraint tasks_key PRIMARY KEY (task_id),
  constraint tasks_agent FOREIGN KEY (agent_id) REFERENCES agents(agent_id),
  constraint tasks_pool FOREIGN KEY (pool, pool_status) REFERENCES definitions(definition_id, current_status),
  constraint tasks_approval CHECK (((approval = ANY (ARRAY['REQUIRED'::text, 'APPROVED'::text, 'REJECTED'::text])) AND ((approval = 'REQUIRED'::text) = (approval_by IS NULL)) AND ((approval_by IS NULL) = (approval_at IS NULL)))),
  constraint tasks_cause CHECK ((cause_kind = ANY (ARRAY['MANUAL'::text, 'EVENT'::text, 'SCHEDULE'::text, 'MESSAGE'::text]))),
  constraint tasks_has_queue CHECK ((num_nonnulls(pool, agent_id) > 0)),
  constraint tasks_lease_has_holder CHECK (((lease_token IS NULL) OR ((agent_id IS NOT NULL) AND (NOT waiting)))),
  constraint tasks_lease_is_whole CHECK (((num_nulls(lease_token, lease_seconds, leased_at, lease_until, deadline_at) = ANY (ARRAY[0, 5])) AND ((lease_token IS NOT NULL) OR (NOT last_attempt)))),
  constraint tasks_lease_within_deadline CHECK (((lease_until <= deadline_at) AND (available_at >= lease_until))),
  constraint tasks_limits CHECK ((((timeout_seconds >= 1) AND (timeout_seconds <= 2592000)) AND ((max_attempts >= 1) AND (max_attempts <= 100)) AND (waiting_for >= 0) AND ((attempt >= 0) AND (attempt <= max_attempts)))),
  constraint tasks_pool_is_its_definition CHECK (((pool IS NULL) OR (pool = definition_id))),
  constraint tasks_priority CHECK (((priority >= 1) AND (priority <= 4)))
) with (fillfactor=80, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=10000);
CREATE INDEX tasks_again ON cams.tasks USING btree (queue, available_at) WHERE (attempt > 0);
CREATE INDEX tasks_agent ON cams.tasks USING btree (agent_id, task_id) WHERE (agent_id IS NOT NULL);
CREATE INDEX tasks_claim ON cams.tasks USING btree (queue, waiting, rank_at, seq) WHERE (attempt = 0);
CREATE INDEX tasks_definition ON cams.tasks USING btree (definition_id, task_id) WHERE (definition_id IS NOT NULL);
CREATE INDEX tasks_definition_held ON cams.tasks USING btree (definition_id, lease_until) WHERE (lease_token IS NOT NULL);
CREATE INDEX tasks_ends ON cams.tasks USING btree (ends_at) WHERE (ends_at IS NOT NULL);
CREATE INDEX tasks_held ON cams.tasks USING btree (agent_id, lease_until) WHERE (lease_token IS NOT NULL);
CREATE INDEX tasks_submitted_by ON cams.tasks USING btree (submitted_by, task_id);
CREATE TRIGGER tasks_announce AFTER INSERT ON cams.tasks FOR EACH ROW WHEN (((new.pool IS NULL) AND (NOT new.waiting))) EXECUTE FUNCTION announce_task();
CREATE TRIGGER tasks_announce_again AFTER UPDATE ON cams.tasks FOR EACH ROW WHEN (((new.pool IS NULL) AND (NOT new.waiting) AND (new.lease_token IS NULL) AND (old.waiting OR (old.lease_token IS NOT NULL)))) EXECUTE FUNCTION announce_task();
CREATE CONSTRAINT TRIGGER tasks_audit AFTER UPDATE OF approval ON cams.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.approval IS DISTINCT FROM new.approval)) EXECUTE FUNCTION record_task_decision();
CREATE TRIGGER tasks_publish_start AFTER UPDATE OF lease_token ON cams.tasks FOR EACH ROW WHEN (((new.lease_token IS NOT NULL) AND (new.lease_token IS DISTINCT FROM old.lease_token))) EXECUTE FUNCTION publish_task_start();
CREATE TRIGGER tasks_settle_dependants AFTER DELETE ON cams.tasks FOR EACH ROW EXECUTE FUNCTION settle_dependants();
grant select, insert, update, delete on cams.tasks to cams_agent;
grant select, insert, update, delete on cams.tasks to cams_operator;
grant select, insert, update, delete on cams.tasks to cams_system;
grant usage on sequence cams.task_arrival to cams_agent;
grant usage on sequence cams.task_arrival to cams_operator;
grant usage on sequence cams.task_arrival to cams_system;

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

CREATE OR REPLACE FUNCTION cams.agent_metrics_between(since timestamp with time zone, until timestamp with time zone)
 RETURNS TABLE(definition_id text, definition_version text, tasks bigint, completed bigint, failed bigint, timed_out bigint, cancelled bigint, rejected bigint, success_rate double precision, mean_seconds double precision, p95_seconds double precision, tokens numeric, cost_usd numeric, tool_calls bigint, ratings bigint, mean_rating double precision, last_run_at timestamp with time zone)
 LANGUAGE sql
 STABLE
AS $function$
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
$function$;
grant execute on function cams.agent_metrics_between(since timestamp with time zone, until timestamp with time zone) to cams_agent;

CREATE OR REPLACE FUNCTION cams.agent_words(agent_id text, name text, type text, description text, tags text[], metadata jsonb)
 RETURNS tsvector
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select to_tsvector('simple', regexp_replace(
    concat_ws(' ', agent_id, name, type, description, array_to_string(tags, ' '), metadata::text), '[-._/@:"]+', ' ', 'g'))
$function$;
grant execute on function cams.agent_words(agent_id text, name text, type text, description text, tags text[], metadata jsonb) to cams_agent;

CREATE OR REPLACE FUNCTION cams.announce_task()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.send_from_cams(a.ai_agent_address, 'task.submitted',
    json_build_object('taskId', new.task_id, 'agentId', new.agent_id, 'type', new.type), new.priority, new.available_at)
  from cams.agents a
  where a.agent_id = new.agent_id;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.archive_task(t tasks, final_state text, outcome text, at timestamp with time zone, used jsonb, result json, error jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function cams.archive_task(t tasks, final_state text, outcome text, at timestamp with time zone, used jsonb, result json, error jsonb) to cams_agent;
grant execute on function cams.archive_task(t tasks, final_state text, outcome text, at timestamp with time zone, used jsonb, result json, error jsonb) to cams_operator;
grant execute on function cams.archive_task(t tasks, final_state text, outcome text, at timestamp with time zone, used jsonb, result json, error jsonb) to cams_system;

CREATE OR REPLACE FUNCTION cams.audit_hash(previous bytea, sequence bigint, at timestamp with time zone, entry jsonb)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select sha256(previous || convert_to(sequence || ' ' || extract(epoch from at) || ' ' || entry::text, 'UTF8'))
$function$;
grant execute on function cams.audit_hash(previous bytea, sequence bigint, at timestamp with time zone, entry jsonb) to cams_operator;

CREATE OR REPLACE FUNCTION cams.change_agent_state()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

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

CREATE OR REPLACE FUNCTION cams.drop_partition(archive text, name text, kept_days integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1500ms'
AS $function$
begin
  perform pg_advisory_xact_lock(hashtextextended('cams.' || archive, 7261));
  if not exists (select from cams.old_partitions(archive, kept_days) old where old = name) then
    return null;
  end if;
  execute format('drop table cams.%I', name);
  return true;
exception when lock_not_available then
  return false;
end
$function$;
grant execute on function cams.drop_partition(archive text, name text, kept_days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.event_patterns(type text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  segments text[] := string_to_array(type, '.');
  most integer := least(cardinality(segments), 8);
  heads text[] := array[''];
  longer text[];
  head text;
  patterns text[] := array['#', type];
begin
  -- Loops over expressions, not queries over arrays: those took 0.3 ms.
  for n in 1..most loop
    longer := '{}';
    foreach head in array heads loop
      longer := longer || (head || segments[n] || '.') || (head || '*.');
    end loop;
    heads := longer;
    foreach head in array heads loop
      patterns := patterns || (head || '#');
    end loop;
  end loop;
  if cardinality(segments) = most then
    foreach head in array heads loop
      if left(head, -1) <> type then
        patterns := patterns || left(head, -1);
      end if;
    end loop;
  end if;
  return patterns;
end
$function$;
grant execute on function cams.event_patterns(type text) to cams_agent;
grant execute on function cams.event_patterns(type text) to cams_operator;
grant execute on function cams.event_patterns(type text) to cams_system;

CREATE OR REPLACE FUNCTION cams.hold_pools(ids text[])
 RETURNS TABLE(definition_id text, version text)
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select d.definition_id, d.current_version from cams.definitions d
  where d.definition_id = any (ids) and d.current_status = 'PUBLISHED'
  order by d.definition_id
  for key share
$function$;
grant execute on function cams.hold_pools(ids text[]) to cams_agent;
grant execute on function cams.hold_pools(ids text[]) to cams_operator;
grant execute on function cams.hold_pools(ids text[]) to cams_system;

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

CREATE OR REPLACE FUNCTION cams.make_partitions(archive text, days integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
declare
  step interval := cams.partition_step(archive);
  made integer := 0;
  first timestamptz;
  name text;
begin
  if step is null then
    raise exception '% is no archive', archive;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('cams.' || archive, 7261));
  for first in
    select generate_series(date_trunc(case step when '1 day' then 'day' else 'month' end, now()),
      now() + make_interval(days => days), step)
  loop
    name := archive || '_' || to_char(first, case step when '1 day' then 'YYYYMMDD' else 'YYYYMM' end);
    continue when to_regclass('cams.' || name) is not null;
    begin
      execute format('create table cams.%I partition of cams.%I for values from (%L) to (%L)',
        name, archive, first, first + step);
      made := made + 1;
    exception when check_violation or invalid_object_definition then
      -- Rows of that time are in the default partition already, which goes on serving them, or a partition of another
      -- name has it: the next ones are made all the same.
      raise warning '% is not made: %', name, sqlerrm;
    end;
  end loop;
  return made;
end
$function$;
grant execute on function cams.make_partitions(archive text, days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.month_cost(definition text, at timestamp with time zone)
 RETURNS numeric
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return (
    select coalesce(sum(c.cost_usd), 0) from cams.definition_costs c
    where c.definition_id = definition and c.month = cams.month_of(at));
end
$function$;
grant execute on function cams.month_cost(definition text, at timestamp with time zone) to cams_agent;
grant execute on function cams.month_cost(definition text, at timestamp with time zone) to cams_operator;
grant execute on function cams.month_cost(definition text, at timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.month_of(at timestamp with time zone)
 RETURNS date
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select date_trunc('month', at at time zone 'UTC')::date
$function$;
grant execute on function cams.month_of(at timestamp with time zone) to cams_agent;
grant execute on function cams.month_of(at timestamp with time zone) to cams_operator;
grant execute on function cams.month_of(at timestamp with time zone) to cams_system;

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

CREATE OR REPLACE FUNCTION cams.old_partitions(archive text, kept_days integer)
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
  where i.inhparent = ('cams.' || archive)::regclass and cams.partition_step(archive) is not null
    and ends <= least(now() - make_interval(days => kept_days), date_trunc('day', now()))
  order by ends
$function$;
grant execute on function cams.old_partitions(archive text, kept_days integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.partition_step(archive text)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case archive
    when 'message_archive' then interval '1 day' when 'task_archive' then interval '1 month' when 'events' then interval '1 day' end
$function$;
grant execute on function cams.partition_step(archive text) to cams_system;

CREATE OR REPLACE FUNCTION cams.publish_agent_state()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION cams.publish_budget()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.publish_from_cams('budget.reached', new.definition_id,
    jsonb_build_object('definitionId', new.definition_id, 'percent', new.percent, 'costUsd', new.cost_usd, 'limitUsd', new.limit_usd,
      'month', new.month),
    case new.percent when 100 then 1 when 90 then 2 else 3 end);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.publish_definition()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION cams.publish_from_cams(type text, subject text, data jsonb, priority integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function cams.publish_from_cams(type text, subject text, data jsonb, priority integer) to cams_agent;
grant execute on function cams.publish_from_cams(type text, subject text, data jsonb, priority integer) to cams_operator;
grant execute on function cams.publish_from_cams(type text, subject text, data jsonb, priority integer) to cams_system;

CREATE OR REPLACE FUNCTION cams.publish_task_end()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.publish_from_cams('agent.task.' || lower(new.state), new.task_id::text,
    jsonb_build_object('taskId', new.task_id, 'type', new.type, 'agentId', new.agent_id, 'definitionId', new.definition_id,
      'definitionVersion', new.definition_version, 'attempt', new.attempt, 'error', new.error),
    case when new.state in ('FAILED', 'TIMED_OUT') then 2 else 3 end);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.publish_task_start()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.publish_from_cams('agent.task.started', new.task_id::text,
    jsonb_build_object('taskId', new.task_id, 'type', new.type, 'agentId', new.agent_id, 'definitionId', new.definition_id,
      'definitionVersion', new.definition_version, 'attempt', new.attempt),
    3);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION cams.record_agent_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
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
$function$;

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

CREATE OR REPLACE FUNCTION cams.record_task_decision()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform cams.add_audit_entry(jsonb_strip_nulls(jsonb_build_object(
    'action', lower(new.approval), 'resourceType', 'task', 'resourceId', new.task_id,
    'ownerTeam', (select d.owner_team from cams.definitions d where d.definition_id = new.definition_id),
    'reason', new.approval_reason,
    'after', jsonb_build_object('task_id', new.task_id, 'type', new.type, 'definition_id', new.definition_id,
      'agent_id', new.agent_id, 'submitted_by', new.submitted_by))));
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
  hidden constant text[] := '{words,version_order,kind,config}';
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

CREATE OR REPLACE FUNCTION cams.send_from_cams(recipient text, message_type text, payload json, priority integer, due timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function cams.send_from_cams(recipient text, message_type text, payload json, priority integer, due timestamp with time zone) to cams_agent;
grant execute on function cams.send_from_cams(recipient text, message_type text, payload json, priority integer, due timestamp with time zone) to cams_operator;
grant execute on function cams.send_from_cams(recipient text, message_type text, payload json, priority integer, due timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.settle_dependants()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION cams.spend(definition text, amount numeric, at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if definition is not null and amount > 0 then
    insert into cams.definition_costs as c (definition_id, month, slot, cost_usd)
    values (definition, cams.month_of(at), floor(random() * 8), amount)
    on conflict (definition_id, month, slot) do update set cost_usd = c.cost_usd + excluded.cost_usd;
  end if;
end
$function$;
grant execute on function cams.spend(definition text, amount numeric, at timestamp with time zone) to cams_agent;
grant execute on function cams.spend(definition text, amount numeric, at timestamp with time zone) to cams_operator;
grant execute on function cams.spend(definition text, amount numeric, at timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.task_receipts(t tasks, outcome text, detail text, at timestamp with time zone)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select case when t.lease_token is null then t.attempts else
    -- The last hundred: what is interrupted is not counted, and may be so for ever.
    case when jsonb_array_length(t.attempts) >= 100 then t.attempts - 0 else t.attempts end || jsonb_strip_nulls(jsonb_build_object(
    'number', t.attempt, 'agentId', t.agent_id, 'definitionVersion', t.definition_version,
    'at', cams.iso(t.leased_at), 'outcome', outcome, 'detail', detail,
    'milliseconds', case when outcome <> 'WORKING' then
      -- Its beginning was rounded to milliseconds, and may so be after its end.
      greatest(0, floor(extract(epoch from least(at, t.lease_until) - t.leased_at) * 1000))::bigint end)) end
$function$;
grant execute on function cams.task_receipts(t tasks, outcome text, detail text, at timestamp with time zone) to cams_agent;
grant execute on function cams.task_receipts(t tasks, outcome text, detail text, at timestamp with time zone) to cams_operator;
grant execute on function cams.task_receipts(t tasks, outcome text, detail text, at timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.try_make_partitions(archive text, days integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1500ms'
AS $function$
begin
  return cams.make_partitions(archive, days);
exception when lock_not_available then
  return null;
end
$function$;
grant execute on function cams.try_make_partitions(archive text, days integer) to cams_system;

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
grant execute on function cams.uuid7(at timestamp with time zone) to cams_system;

CREATE OR REPLACE FUNCTION cams.uuid7_time(id uuid)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select to_timestamp(('x0000' || translate(left(id::text, 13), '-', ''))::bit(64)::bigint / 1000.0)
$function$;
grant execute on function cams.uuid7_time(id uuid) to cams_agent;
grant execute on function cams.uuid7_time(id uuid) to cams_operator;
grant execute on function cams.uuid7_time(id uuid) to cams_system;

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

CREATE OR REPLACE FUNCTION cams.working_tasks(agent text, at timestamp with time zone)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return (
    select count(*) from cams.tasks t where t.agent_id = agent and t.lease_token is not null and t.lease_until > at);
end
$function$;
grant execute on function cams.working_tasks(agent text, at timestamp with time zone) to cams_agent;
grant execute on function cams.working_tasks(agent text, at timestamp with time zone) to cams_system;

