-- Up Migration

-- Where a version stands in the order of Semantic Versioning 2.0.0, as text that is compared byte by byte: numbers with
-- leading zeros, then `~` for a release, or the identifiers of a pre-release, numeric ones first. Any of theirs is less
-- than `~`, and a list that goes on is more than where it would have ended.
create function cams.version_order(version text) returns text
language sql immutable strict parallel safe
as $$
  select string_agg(lpad(part, 15, '0'), '' order by place) || coalesce((
      select string_agg(case when id ~ '^\d+$' then '0' || lpad(id, 15, '0') else '1' || id end || ' ', '' order by n)
      from string_to_table(substring(version from '-(.*)$'), '.') with ordinality p (id, n)
    ), '~')
  from string_to_table(split_part(version, '-', 1), '.') with ordinality c (part, place)
$$;

-- The words by which a definition is found. What joins words (`qa-manager`, `a/b`) is parted: its parts are looked for too.
create function cams.definition_words(document jsonb) returns tsvector
language sql immutable strict parallel safe
as $$
  select to_tsvector('simple', regexp_replace(
    coalesce(document #>> '{metadata,id}', '') || ' ' || coalesce(document #>> '{metadata,name}', '') || ' '
      || coalesce(document #>> '{metadata,role}', '') || ' ' || coalesce(document #>> '{metadata,description}', '') || ' '
      || coalesce(document #>> '{metadata,tags}', ''),
    '[-._/@:"]+', ' ', 'g'))
$$;

create table cams.definitions (
  definition_id text not null,
  kind text not null,
  owner_team text,
  current_version text,
  -- By which way the current version became so: what a loader did, it may do again; what somebody decided, not.
  current_source text,
  current_status text generated always as (case when current_version is not null then 'PUBLISHED' end) stored,
  highest_version text not null,
  retired_at timestamptz(3),
  created_at timestamptz(3) not null,
  created_by text not null,
  updated_at timestamptz(3) not null,
  updated_by text not null,
  revision integer not null default 1,
  constraint definitions_key primary key (definition_id),
  constraint definitions_kind_key unique (definition_id, kind),
  constraint definitions_id check (definition_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  constraint definitions_kind check (kind in ('Agent', 'Team')),
  constraint definitions_source check (current_source in ('api', 'yaml', 'loader')),
  constraint definitions_current_has_source check ((current_version is null) = (current_source is null)),
  constraint definitions_retired_has_no_current check (retired_at is null or current_version is null)
);

-- Lists: newest first, all or a team's.
create index definitions_newest on cams.definitions (created_at, definition_id);
create index definitions_owner_team on cams.definitions (owner_team, created_at, definition_id);

create table cams.definition_versions (
  definition_id text not null,
  version text not null,
  version_order text collate "C" not null generated always as (cams.version_order(version)) stored,
  kind text not null generated always as (document ->> 'kind') stored,
  document jsonb not null,
  content_hash text not null,
  status text not null,
  source text not null,
  -- Of a published team: the exact versions of its members.
  member_lock jsonb,
  created_at timestamptz(3) not null,
  created_by text not null,
  published_at timestamptz(3),
  published_by text,
  deprecated_at timestamptz(3),
  deprecated_by text,
  words tsvector not null generated always as (cams.definition_words(document)) stored,
  constraint definition_versions_key primary key (definition_id, version),
  constraint definition_versions_status_key unique (definition_id, version, status),
  constraint definition_versions_definition foreign key (definition_id, kind)
    references cams.definitions (definition_id, kind),
  constraint definition_versions_document check (
    (document #>> '{metadata,id}', document #>> '{metadata,version}') = (definition_id, version)),
  constraint definition_versions_version check (char_length(version) <= 64
    and version ~ '^(0|[1-9]\d{0,14})(\.(0|[1-9]\d{0,14})){2}(-(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$'),
  constraint definition_versions_hash check (content_hash ~ '^[0-9a-f]{64}$'),
  constraint definition_versions_status check (status in ('DRAFT', 'PUBLISHED', 'DEPRECATED')),
  constraint definition_versions_source check (source in ('api', 'yaml', 'loader')),
  constraint definition_versions_published check (
    (status = 'DRAFT') = (published_at is null) and (status = 'DRAFT') = (published_by is null)),
  constraint definition_versions_deprecated check (
    (status = 'DEPRECATED') = (deprecated_at is not null) and (status = 'DEPRECATED') = (deprecated_by is not null)),
  constraint definition_versions_lock check ((status <> 'DRAFT' and kind = 'Team') = (member_lock is not null))
);

-- A definition's versions, the highest first.
create index definition_versions_ordered on cams.definition_versions (definition_id, version_order);
-- Lists by words, and by tag.
create index definition_versions_words on cams.definition_versions using gin (words);
create index definition_versions_tags on cams.definition_versions using gin ((document #> '{metadata,tags}'));
-- Which teams a definition is a member of, before it is retired.
create index definition_versions_lock on cams.definition_versions using gin (member_lock jsonb_path_ops)
  where member_lock is not null;

-- What is current is published and stays so: one version, because it is one column. Both are made in one transaction.
alter table cams.definitions
  add constraint definitions_current foreign key (definition_id, current_version, current_status)
    references cams.definition_versions (definition_id, version, status) deferrable initially deferred,
  add constraint definitions_highest foreign key (definition_id, highest_version)
    references cams.definition_versions (definition_id, version) deferrable initially deferred;

-- Trigger: a version that was published never changes, whoever asks; it may only be deprecated.
create function cams.keep_published() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
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
$$;

create trigger definition_versions_kept before update or delete on cams.definition_versions
for each row execute function cams.keep_published();

-- Trigger: records what became of a version, under its definition's id and owner.
create function cams.record_version_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
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
$$;

create constraint trigger definition_versions_audit after insert or update or delete on cams.definition_versions
deferrable initially deferred for each row
execute function cams.record_version_change();

create constraint trigger definitions_audit after insert or delete on cams.definitions
deferrable initially deferred for each row
execute function cams.record_change('definition', 'definition_id', 'owner_team', '{current_status}');

-- The rest of a definition follows from its versions, which have entries of their own.
create constraint trigger definitions_audit_decisions after update on cams.definitions
deferrable initially deferred for each row
when ((old.definition_id, old.kind, old.owner_team, old.current_version, old.current_source, old.retired_at)
  is distinct from (new.definition_id, new.kind, new.owner_team, new.current_version, new.current_source, new.retired_at))
execute function cams.record_change('definition', 'definition_id', 'owner_team', '{current_status}');

create trigger definitions_not_truncated before truncate on cams.definitions execute function cams.refuse_truncate();
create trigger definition_versions_not_truncated before truncate on cams.definition_versions
execute function cams.refuse_truncate();

create trigger definitions_continue_revision before insert on cams.definitions
for each row execute function cams.continue_revision('definition', 'definition_id');

-- Of the audit, what everybody who reads definitions may know.
create view cams.definition_changes with (security_barrier) as
  select a.resource_id as definition_id, a.sequence, a.at, a.entry
  from cams.audit_log a
  where a.resource_type in ('definition', 'definition_version');

grant select on cams.definitions, cams.definition_versions, cams.definition_changes to cams_agent, cams_operator;
grant execute on function cams.version_order(text) to cams_agent, cams_operator;
grant insert, update, delete on cams.definitions, cams.definition_versions to cams_operator;
grant execute on function cams.definition_words(jsonb) to cams_operator;

-- Down Migration

revoke all on function cams.version_order(text), cams.definition_words(jsonb) from cams_agent, cams_operator;
drop view cams.definition_changes;
alter table cams.definitions drop constraint definitions_current, drop constraint definitions_highest;
drop table cams.definition_versions;
drop table cams.definitions;
drop function cams.record_version_change();
drop function cams.keep_published();
drop function cams.definition_words(jsonb);
drop function cams.version_order(text);
