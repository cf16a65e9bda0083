import type pg from "pg";

const TABLES = `
  select c.oid, c.relname as name, coalesce(' partition by ' || lower(pg_get_partkeydef(c.oid)), '') as partition,
    coalesce(array_to_string(c.reloptions, ', '), '') as options
  from pg_class c
  where c.relnamespace = 'cams'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and c.relname <> 'migrations'
  order by c.relname`;

const COLUMNS = `
  select a.attrelid as oid, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    case when a.attnotnull then ' not null' else '' end
      || case when a.attidentity <> '' then ' generated always as identity' else '' end
      || case when d.oid is null then ''
           when a.attgenerated = 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
           else ' default ' || pg_get_expr(d.adbin, d.adrelid) end as rest
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
  order by a.attnum`;

// Not-null constraints are catalogued from PostgreSQL 18 on only, and stand with their columns anyway.
const CONSTRAINTS = `
  select conrelid as oid, conname as name, pg_get_constraintdef(oid) as definition
  from pg_constraint
  where connamespace = 'cams'::regnamespace and contype <> 'n'
  order by contype desc, conname`;

const INDEXES = `
  select i.indrelid as oid, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as definition
  from pg_index i join pg_class c on c.oid = i.indexrelid
  where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
  order by c.relname`;

const TRIGGERS = `
  select tgrelid as oid, pg_get_triggerdef(oid) as definition from pg_trigger where not tgisinternal order by tgname`;

const FUNCTIONS = `
  select oid, pg_get_functiondef(oid) as definition from pg_proc
  where pronamespace = 'cams'::regnamespace order by proname, oid`;

/** With each object the one in whose place of the page it stands: a partition's is its table, as is a sequence's. */
const GRANTS = `
  with object as (
    select oid, nspacl as acl, nspowner as owner, 'schema cams' as name, null as "column"
    from pg_namespace where nspname = 'cams'
    union all
    select coalesce(pg_partition_root(c.oid), d.refobjid, c.oid), c.relacl, c.relowner,
      case when c.relkind = 'S' then 'sequence ' else '' end || format('cams.%I', c.relname), null
    from pg_class c left join pg_depend d on d.objid = c.oid and c.relkind = 'S' and d.deptype = 'a'
    where c.relnamespace = 'cams'::regnamespace
    union all
    select coalesce(pg_partition_root(c.oid), c.oid), a.attacl, c.relowner, format('cams.%I', c.relname), a.attname
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'cams'::regnamespace
    union all
    select oid, coalesce(proacl, acldefault('f', proowner)), proowner,
      format('function cams.%I(%s)', proname, pg_get_function_identity_arguments(oid)), null
    from pg_proc where pronamespace = 'cams'::regnamespace
  ), privilege as (
    select o.oid, o.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end as role,
      array_position('{SELECT,INSERT,UPDATE,DELETE}', g.privilege_type) as place,
      lower(g.privilege_type) || coalesce(' (' || o."column" || ')', '') as privilege
    from object o cross join lateral aclexplode(o.acl) g
    where g.grantee <> o.owner
  )
  select oid, format('grant %s on %s to %s', string_agg(privilege, ', ' order by place, privilege), name, role) as definition
  from privilege
  group by oid, name, role
  order by name, role`;

const OWNERS = `
  select string_agg(distinct owner::regrole::text, ', ') as names from (
    select nspowner as owner from pg_namespace where nspname = 'cams'
    union all select relowner from pg_class where relnamespace = 'cams'::regnamespace
    union all select proowner from pg_proc where pronamespace = 'cams'::regnamespace
  ) object`;

/** The schema `cams` as one readable page, tables first; partitions are left out. */
export async function describeSchema(client: pg.Client): Promise<string> {
  const rows = async (query: string) => (await client.query(query)).rows as Record<string, string>[];
  const byTable = async (query: string) => Map.groupBy(await rows(query), ({ oid }) => oid);
  const columns = await byTable(COLUMNS);
  const constraints = await byTable(CONSTRAINTS);
  const indexes = await byTable(INDEXES);
  const triggers = await byTable(TRIGGERS);
  const grants = await byTable(GRANTS);
  const [schema] = await rows("select 'cams'::regnamespace::oid as oid");
  const tables = (await rows(TABLES)).map(({ oid, name, partition, options }) => {
    const lines = [
      ...(columns.get(oid) ?? []).map((column) => `  ${column.name} ${column.type}${column.rest}`),
      ...(constraints.get(oid) ?? []).map((constraint) => `  constraint ${constraint.name} ${constraint.definition}`),
    ];
    const after = [...(indexes.get(oid) ?? []), ...(triggers.get(oid) ?? []), ...(grants.get(oid) ?? [])];
    const end = `)${partition}${options && ` with (${options})`};`;
    return [`create table cams.${name} (`, lines.join(",\n"), end, ...after.map(closed)].join("\n");
  });
  const functions = (await rows(FUNCTIONS)).map((row) => [row, ...(grants.get(row.oid) ?? [])].map(closed).join("\n"));
  const [owners] = await rows(OWNERS);
  return [
    "-- The schema as the migrations leave it: a picture to read, written by `npm run generate`, checked by a test.",
    `-- Everything in it belongs to ${owners?.names}.`,
    (grants.get(schema?.oid) ?? []).map(closed).join("\n"),
    ...tables,
    ...functions,
    "",
  ].join("\n\n");
}

function closed({ definition }: Record<string, string>): string {
  return `${definition?.trim()};`;
}
