import { cpSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, inject } from "vitest";
import { type EmbeddedPostgres, startPostgres } from "../../scripts/postgres.ts";

/** Makes a folder one of an embedded PostgreSQL that has been started and stopped once, without `initdb`. */
export function copyCluster(dataDir: string): void {
  cpSync(inject("cluster"), dataDir, { recursive: true });
}

/** A PostgreSQL of this file's own, for what belongs to a whole server, as roles do. */
export function usePostgres(): Pick<EmbeddedPostgres, "url"> {
  let folder: string;
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cams-server-"));
    copyCluster(folder);
    server = await startPostgres({ dataDir: folder });
  });
  afterAll(async () => {
    await server?.stop("immediate");
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get url() {
      return server.url;
    },
  };
}
