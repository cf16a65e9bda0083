-- Up Migration

-- What a version promises about tasks, beside the document: that may be a megabyte, which every claim would unpack.
alter table cams.definition_versions
  add column config jsonb generated always as (document -> 'config') stored;

-- It is in the document, which is recorded.
create or replace function cams.record_version_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
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
$$;

-- What a month's budget is, the sweep asks for all that were spent of.
grant select (definition_id, version, config) on cams.definition_versions to cams_system;

-- Down Migration

create or replace function cams.record_version_change() returns trigger
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

revoke select (definition_id, version, config) on cams.definition_versions from cams_system;
alter table cams.definition_versions drop column config;
