import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedPostgres, startPostgres } from "../../scripts/postgres.ts";
import { migrate } from "../../shared/db/migrate.ts";
import { copyCluster } from "../support/postgres.ts";
import { type Service, startService } from "../support/service.ts";
import { startFront, type TcpFront } from "../support/tcp-front.ts";
import { follow, INSERT } from "./followers.ts";

let folder: string;
let database: EmbeddedPostgres;
let front: TcpFront;
let service: Service;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cams-crash-"));
  copyCluster(folder);
  database = await startPostgres({ dataDir: folder });
  front = await startFront(database.port);
  const url = new URL(database.url);
  url.port = String(front.port);
  service = await startService({}, { url: url.href, drop: async () => {} });
  await migrate(service.app.client);
});

afterAll(async () => {
  await service?.close();
  front?.close();
  await database?.stop("immediate");
  await rm(folder, { recursive: true, force: true });
});

/** Uses up numbers of transactions and leaves nothing durable that says so. */
async function rollBack(times: number): Promise<void> {
  const client = new pg.Client(database.url);
  client.on("error", () => {});
  await client.connect();
  for (let n = 0; n < times; n++) await client.query("begin; select pg_current_xact_id(); rollback");
  await client.end();
}

test("after a crash, which has numbers of transactions given out again, followers miss nothing", async () => {
  const steady = await follow(service.url);
  await rollBack(50);
  const late = await follow(service.url);
  await database.stop("immediate");
  database = await startPostgres({ dataDir: folder });
  front.lead(database.port);
  const types = Array.from({ length: 20 }, (_, n) => `after.${n}`);
  // The connections that are gone are found one by one.
  for (const type of types)
    while (
      !(await service.sql(INSERT, [[type], 0]).then(
        () => true,
        () => false,
      ))
    )
      await delay(20);
  for (const { types: seen } of [steady, late]) await expect.poll(seen, { timeout: 20_000 }).toEqual(types);
}, 60_000);
