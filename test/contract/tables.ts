import type { Service } from "../support/service.ts";

/** Every table there is, as `rows:digest of their content`, by name: equal when nothing has changed. */
export async function tablesOf(service: Service): Promise<Record<string, string>> {
  queries.set(service, queries.get(service) ?? queryFor(service));
  const text = await (queries.get(service) as Promise<string>);
  // Prepared: two thirds of the time it takes are planning, and bad-input asks thousands of times.
  const rows = await service.sql<{ name: string; content: string }>({ name: "tables", text });
  return Object.fromEntries(rows.map(({ name, content }) => [name, content]));
}

/** How many rows each table has, but for the kept answers. */
export async function countsOf(service: Service): Promise<Record<string, number>> {
  const { idempotency_keys: _, ...tables } = await tablesOf(service);
  return Object.fromEntries(Object.entries(tables).map(([name, content]) => [name, Number.parseInt(content, 10)]));
}

const queries = new WeakMap<Service, Promise<string>>();

const TABLES = `
  select relname as name from pg_class
  where relnamespace = 'cams'::regnamespace and relkind in ('r', 'p') and not relispartition order by relname`;

async function queryFor(service: Service): Promise<string> {
  const tables = await service.sql<{ name: string }>(TABLES);
  return tables
    .map(
      ({ name }) => `select '${name}' as name,
        count(*) || ':' || coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') as content
        from cams.${name} t`,
    )
    .join(" union all ");
}

/**
 * Counts every row that is written from now on, in whatever table: a count that stays shows that nothing has changed, at
 * a twentieth of what `tablesOf` takes.
 */
export async function watchWrites(service: Service): Promise<() => Promise<number>> {
  await service.sql(`
    create schema watch;
    create table watch.writes (n bigint generated always as identity primary key);
    create function watch.note() returns trigger language plpgsql security definer as
      $$ begin insert into watch.writes default values; return null; end $$`);
  for (const { name } of await service.sql<{ name: string }>(TABLES))
    await service.sql(`
      create trigger watched after insert or update or delete on cams.${name} for each row execute function watch.note();
      create trigger watched_whole after truncate on cams.${name} execute function watch.note()`);
  return async () => {
    // The highest number, not how many there are: that would be read row by row, thousands of times.
    const [last] = await service.sql<{ n: string }>({
      name: "writes",
      text: "select coalesce(max(n), 0) as n from watch.writes",
    });
    return Number(last?.n);
  };
}
