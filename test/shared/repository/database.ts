import pg from "pg";
import { afterAll, beforeAll } from "vitest";
import { createDatabase, type TestDatabase } from "../../support/database.ts";

/** A database for judging plans; statistics are gathered when a test says so, not when the server finds the time. */
export function usePlannedDatabase(fill: (database: Planned) => Promise<void>): Planned {
  const planned: Planned = {
    url: "",
    sql: async (text, values) => (await client.query(text, values)).rows,
  };
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase();
    planned.url = database.url;
    client = new pg.Client(database.url);
    await client.connect();
    for (const table of ["agent_inboxes", "messages"])
      await planned.sql(`alter table cams.${table} set (autovacuum_enabled = false)`);
    await fill(planned);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });
  return planned;
}

export interface Planned {
  url: string;
  sql<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
}
