-- Up Migration

create table cams.agent_inboxes (
  ai_agent_address text not null,
  inbox_destination_type text not null,
  inbox_name text not null,
  admin_status text not null default 'ACTIVE',
  health_status text not null default 'UNKNOWN',
  quarantined_at timestamptz(3),
  status text not null generated always as (
    case when admin_status = 'ACTIVE' and health_status not in ('UNHEALTHY', 'OFFLINE') and quarantined_at is null
      then 'ACTIVE' else 'INACTIVE' end
  ) stored,
  status_reason text,
  description text,
  owner_team text,
  heartbeat_interval_seconds integer not null default 60,
  max_delivery_attempts integer not null default 20,
  last_health_check_timestamp timestamptz(3),
  expected_by timestamptz(3),
  sweep_after timestamptz(3),
  registration_timestamp timestamptz(3) not null,
  last_updated_timestamp timestamptz(3) not null,
  updated_by text not null,
  revision integer not null default 1,

  constraint agent_inboxes_address_unique primary key (ai_agent_address),
  constraint agent_inboxes_address_canonical
    check (char_length(ai_agent_address) between 1 and 255 and ai_agent_address !~ '[\s/?#%A-Z]'),
  constraint agent_inboxes_destination_type
    check (inbox_destination_type in ('GCP_PUBSUB_TOPIC', 'HTTP_ENDPOINT', 'PULL_QUEUE')),
  constraint agent_inboxes_name_fits_type check (
    case inbox_destination_type
      when 'GCP_PUBSUB_TOPIC' then inbox_name ~ '^projects/[^/\s]+/topics/[^/\s]+$'
      when 'HTTP_ENDPOINT' then inbox_name ~ '^https?://[^\s]+$'
      else true
    end
  ),
  constraint agent_inboxes_admin_status check (admin_status in ('ACTIVE', 'INACTIVE')),
  constraint agent_inboxes_health_status
    check (health_status in ('UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'SUSPECT', 'OFFLINE')),
  constraint agent_inboxes_heartbeat_interval check (heartbeat_interval_seconds between 5 and 86400),
  constraint agent_inboxes_max_delivery_attempts check (max_delivery_attempts between 1 and 100),
  constraint agent_inboxes_watched_is_expected check (sweep_after is null or expected_by is not null)
)
-- A heartbeat rewrites the row without touching an indexed column: a quarter of each page is kept free so that the
-- new version stays on it (HOT). One dead row in 50 starts a vacuum, or a million inboxes would gather 200,000 first.
with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.02);

-- The lists: newest first, alone or within one status or one team.
create index agent_inboxes_newest on cams.agent_inboxes (registration_timestamp, ai_agent_address);
create index agent_inboxes_status_newest on cams.agent_inboxes (status, registration_timestamp, ai_agent_address);
create index agent_inboxes_team_newest on cams.agent_inboxes (owner_team, registration_timestamp, ai_agent_address)
  where owner_team is not null;
-- The sweep: what may be stale, and nothing else. The exact deadline (expected_by) is not indexed on purpose.
create index agent_inboxes_sweep on cams.agent_inboxes (sweep_after) where sweep_after is not null;

-- Down Migration

drop table cams.agent_inboxes;
