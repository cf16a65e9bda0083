-- Up Migration

-- What publishes an event by the clock: again and again, or once.
create table cams.schedules (
  schedule_id uuid not null,
  name text not null,
  event_type text not null,
  -- JSON, kept as text: the audit makes jsonb of each row, which has no form for \u0000 and writes 1e300 with all its zeros.
  payload text,
  priority smallint not null,
  cron text,
  time_zone text,
  run_at timestamptz(3),
  enabled boolean not null,
  -- What becomes of times at which nobody looked.
  misfire text not null,
  -- When it is due; null when it is not enabled, or never again.
  next_run_at timestamptz(3),
  last_run_at timestamptz(3),
  owner_team text,
  created_at timestamptz(3) not null,
  created_by text not null,
  updated_at timestamptz(3) not null,
  updated_by text not null,
  -- Counts decisions, not runs.
  revision integer not null default 1,
  constraint schedules_key primary key (schedule_id),
  constraint schedules_priority check (priority between 1 and 4),
  constraint schedules_misfire check (misfire in ('skip', 'once', 'all')),
  constraint schedules_times check (num_nonnulls(cron, run_at) = 1 and (cron is null) = (time_zone is null)),
  constraint schedules_rest check (enabled or next_run_at is null)
);

-- The tick: what is due.
create index schedules_due on cams.schedules (next_run_at) where next_run_at is not null;

-- What became of each time that came due, and of each run by hand.
create table cams.schedule_runs (
  run_id uuid not null,
  schedule_id uuid not null,
  scheduled_for timestamptz(3) not null,
  outcome text not null,
  late boolean not null,
  manual boolean not null,
  at timestamptz(3) not null,
  event_id uuid,
  actor text not null,
  constraint schedule_runs_key primary key (run_id),
  constraint schedule_runs_schedule foreign key (schedule_id) references cams.schedules on delete cascade,
  constraint schedule_runs_outcome check (
    case outcome when 'FIRED' then event_id is not null else outcome = 'SKIPPED' and event_id is null and not manual end)
);

-- Each time once; and the list of a schedule, newest first.
create unique index schedule_runs_once on cams.schedule_runs (schedule_id, scheduled_for) where not manual;
create index schedule_runs_schedule on cams.schedule_runs (schedule_id, scheduled_for, run_id);
-- Retention.
create index schedule_runs_at on cams.schedule_runs (at);

create constraint trigger schedules_audit after insert or delete on cams.schedules
deferrable initially deferred for each row
execute function cams.record_change('schedule', 'schedule_id', 'owner_team', '{next_run_at,last_run_at}');
create constraint trigger schedules_audit_decisions after update on cams.schedules
deferrable initially deferred for each row when (old.revision <> new.revision)
execute function cams.record_change('schedule', 'schedule_id', 'owner_team', '{next_run_at,last_run_at}');
create trigger schedules_not_truncated before truncate on cams.schedules execute function cams.refuse_truncate();

grant select, insert, update, delete on cams.schedules to cams_operator;
grant select, insert on cams.schedule_runs to cams_operator;
grant select, update (next_run_at, last_run_at) on cams.schedules to cams_system;
grant select, insert, update (at), delete on cams.schedule_runs to cams_system;
-- A run by hand is known by its CloudEvent's id too.
grant select, insert, update on cams.event_keys to cams_operator;

-- Down Migration

revoke all on cams.event_keys from cams_operator;
drop table cams.schedule_runs;
drop table cams.schedules;
