import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import checksums from "../../migrations/checksums.json" with { type: "json" };
import { migrate } from "../../shared/db/migrate.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { run } from "../support/global-setup.ts";
import { type Service, startService } from "../support/service.ts";

const NEWEST = Object.keys(checksums).at(-1) as string;
const outdated = { status: 503, body: { code: "schema_outdated" } };

let database: TestDatabase;
let service: Service;
beforeEach(async () => {
  database = await createDatabase();
  service = await startService({}, database);
});
afterEach(async () => {
  await service.close();
  await database.drop();
});

const downTo = (to: number) => migrate(new pg.Client(database.url), { to });

test("ready with every migration of the code, and with newer ones: what still serves while a version is deployed", async () => {
  expect(await service.get("/health/ready")).toMatchObject({ status: 200, body: { status: "ready" } });
  await service.sql("insert into cams.migrations (name, run_on) values ('9999_future', now())");
  expect((await service.get("/health/ready")).status).toBe(200);
});

test("503 schema_outdated while the newest migration is missing, and ready once system-migrate was called", async () => {
  await service.sql("delete from cams.migrations where name = $1", [NEWEST]);
  const answer = await service.get("/health/ready");
  expect(answer).toMatchObject(outdated);
  expect(answer.headers.get("retry-after")).toBe("5");
  expect(answer.body.detail).toContain("system-migrate");
});

test("503 schema_outdated, never 500, at every migration the schema may be at, and at none", async () => {
  for (let left = Object.keys(checksums).length - 1; left >= 0; left--) {
    await downTo(left);
    expect(await service.get("/health/ready"), `${left} migrations`).toMatchObject(outdated);
  }
  await run(database.url, "drop schema cams cascade");
  expect(await service.get("/health/ready")).toMatchObject(outdated);
  await service.post("/v1/system/migrate");
  expect((await service.get("/health/ready")).status).toBe(200);
});

describe("any endpoint", () => {
  test.each([
    ["a table", "alter table cams.agent_inboxes rename to other"],
    ["a column", "alter table cams.agent_inboxes rename column inbox_name to other"],
    ["a function", "alter function cams.uuid7 rename to other"],
    ["the schema", "alter schema cams rename to other"],
  ])("answers 503 schema_outdated where %s is missing", async (_, change) => {
    await service.sql(change);
    const answers = [
      await service.get("/v1/agent-inboxes"),
      await service.post("/v1/messages", { recipientAddress: "a", senderAddress: "b", payload: {} }),
    ];
    expect(answers).toContainEqual(
      expect.objectContaining({ status: 503, body: expect.objectContaining(outdated.body) }),
    );
    expect(answers.filter(({ status }) => status === 500)).toEqual([]);
  });

  test("answers 500 where only a grant is missing: a defect of ours that no migration run mends", async () => {
    await service.sql("revoke select on cams.agent_inboxes from cams_agent");
    expect(await service.get("/v1/agent-inboxes")).toMatchObject({ status: 500, body: { code: "internal" } });
  });
});

test("migrations/checksums.json is true, and in order", () => {
  const files = globSync("migrations/[0-9]*.sql").sort();
  const sums = files.map((file) => [
    basename(file, ".sql"),
    createHash("sha256").update(readFileSync(file)).digest("hex"),
  ]);
  expect(Object.entries(checksums)).toEqual(sums);
});

test("a bundle tells readiness where there is no folder of migrations", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-bundle-"));
  const outfile = join(folder, "index.mjs");
  await build({
    stdin: {
      contents: `
        import { createServer } from "node:http";
        import { compose } from "./functions/compose.ts";
        import { systemReady } from "./functions/system/ready.ts";
        import { readConfig } from "./shared/config.ts";
        const server = createServer((await compose(readConfig())).serve([systemReady]));
        server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));`,
      resolveDir: ".",
    },
    bundle: true,
    platform: "node",
    format: "esm",
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    external: ["pg-native"],
    outfile,
    logLevel: "error",
  });
  const child = spawn(process.execPath, [outfile], {
    cwd: folder,
    env: { AUTH_MODE: "none", LOG_LEVEL: "ERROR", DATABASE_URL: database.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    const url = `http://127.0.0.1:${/port (\d+)/.exec(`${line}`)?.[1]}/health/ready`;
    expect((await fetch(url)).status).toBe(200);
    await service.sql("delete from cams.migrations where name = $1", [NEWEST]);
    expect((await fetch(url)).status).toBe(503);
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    await rm(folder, { recursive: true, force: true });
  }
});
