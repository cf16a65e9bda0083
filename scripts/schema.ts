import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../shared/db/migrate.ts";
import { describeSchema } from "./describe-schema.ts";
import { startPostgres } from "./postgres.ts";

/** Migrates a throw-away database from empty and answers what came of it: `migrations/schema.sql`. */
export async function schemaPicture(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-schema-"));
  try {
    const database = await startPostgres({ dataDir: folder });
    await migrate(new pg.Client(database.url));
    const client = new pg.Client(database.url);
    await client.connect();
    const picture = await describeSchema(client);
    await client.end();
    await database.stop("immediate");
    return picture;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
