import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { accountFor, spawnOptions } from "../../scripts/postgres/account.ts";
import { isAlive, until } from "../../scripts/postgres/process.ts";
import { type EmbeddedPostgres, startPostgres } from "../../scripts/postgres.ts";
import { children, firstLine, query, startElsewhere } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "cams-postgres-test-"));
const dataDir = join(folder, "main", ".data");
const cluster = join(dataDir, "postgres");
let running: EmbeddedPostgres | undefined;

async function start(at = dataDir): Promise<EmbeddedPostgres> {
  running = await startPostgres({ dataDir: at });
  return running;
}

beforeAll(async () => {
  await start();
  await running?.stop();
});

afterEach(() => running?.stop());

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

describe("an embedded PostgreSQL", { timeout: 15_000 }, () => {
  test("is durable, private to this machine and compares text by its bytes", async () => {
    const server = await start();
    const show = "fsync synchronous_commit full_page_writes listen_addresses unix_socket_directories TimeZone".split(
      " ",
    );
    const settings = show.map((name) => `current_setting('${name}') AS "${name}"`).join();
    const text = `'a' < 'B' AS alphabetical, upper('é') AS upper, current_setting('max_connections') AS connections`;
    expect(await query(server, `SELECT ${settings}, ${text}`)).toEqual([
      {
        fsync: "on",
        synchronous_commit: "on",
        full_page_writes: "on",
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        TimeZone: "UTC",
        alphabetical: false,
        upper: "É",
        connections: "200",
      },
    ]);
    const stranger = new pg.Client({ connectionString: server.url.replace(/:[0-9a-f]+@/, ":wrong@") });
    await expect(stranger.connect()).rejects.toThrow(/password authentication failed/);
  });

  test("keeps its data over a restart, on a new port", async () => {
    const first = await start();
    await query(first, "CREATE TABLE kept AS SELECT 'over a restart' AS what");
    await Promise.all([first.stop(), first.stop()]);
    expect(isAlive(first.pid)).toBe(false);
    await first.stop();
    expect(await query(await start(), "SELECT what FROM kept")).toEqual([{ what: "over a restart" }]);
  });

  test("refuses a second start from the same folder with one clear line", async () => {
    const server = await start();
    const line = `cams is already running from this folder (${dataDir}, process ${process.pid})`;
    await expect(startPostgres({ dataDir })).rejects.toThrow(line);
    expect(await query(server, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("lets one of two simultaneous first starts win and refuses the other", async () => {
    const at = join(folder, "race");
    const outcomes = await Promise.allSettled([startPostgres({ dataDir: at }), startPostgres({ dataDir: at })]);
    const [won] = outcomes.filter((outcome) => outcome.status === "fulfilled");
    const [lost] = outcomes.filter((outcome) => outcome.status === "rejected");
    running = won?.value;
    expect(lost?.reason.message).toMatch(/already running from this folder/);
    expect(await query(running as EmbeddedPostgres, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("takes over from a starter that was killed and left PostgreSQL running", async () => {
    const starter = startElsewhere(dataDir);
    const orphan = await firstLine(starter);
    await expect(startPostgres({ dataDir })).rejects.toThrow(`process ${starter.pid})`);
    await query(orphan, "CREATE TABLE orphaned AS SELECT 1 AS one");
    starter.kill("SIGKILL");
    const server = await start();
    expect(server.pid).not.toBe(orphan.pid);
    expect(isAlive(orphan.pid)).toBe(false);
    expect(await query(server, "SELECT one FROM orphaned")).toEqual([{ one: 1 }]);
  });

  test("recovers when PostgreSQL itself was killed", async () => {
    const killed = await start();
    await query(killed, "CREATE TABLE committed AS SELECT 1 AS one");
    process.kill(killed.pid, "SIGKILL");
    const server = await start();
    expect(existsSync(join(cluster, "postmaster.pid"))).toBe(true);
    expect(await query(server, "SELECT one FROM committed")).toEqual([{ one: 1 }]);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).toMatch(/automatic recovery in progress/);
  });

  test("starts although the process id in a stale postmaster.pid belongs to another program now", async () => {
    const other = spawn("sleep", ["60"], spawnOptions(accountFor(cluster)));
    children.push(other);
    writeFileSync(join(cluster, "postmaster.pid"), `${other.pid}\n${cluster}\n1792000000\n1\n\n127.0.0.1\n`);
    expect(await query(await start(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(isAlive(other.pid as number)).toBe(true);
  });

  test("stops nothing that belongs to the folder it was copied from", async () => {
    const copy = join(folder, "copy");
    cpSync(dataDir, copy, { recursive: true });
    const original = await start();
    cpSync(join(cluster, "postmaster.pid"), join(copy, "postgres", "postmaster.pid"));
    const second = await startPostgres({ dataDir: copy });
    expect(second.pid).not.toBe(original.pid);
    expect(await query(original, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await second.stop();
  });

  test("makes the cluster anew when its starter was killed in the middle of making it", async () => {
    const at = join(folder, "half");
    const starter = startElsewhere(at);
    const halfMade = () => (existsSync(at) ? readdirSync(at).find((name) => name.startsWith("postgres.new-")) : "");
    expect(await until(() => existsSync(join(at, halfMade() || "none", "data", "base", "1")), 5000)).toBe(true);
    starter.kill("SIGKILL");
    expect(await query(await start(at), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(halfMade()).toBeUndefined();
  });

  test("says in one line why it cannot start", async () => {
    const other = join(folder, "other");
    mkdirSync(join(other, "postgres"), { recursive: true });
    writeFileSync(join(other, "postgres.password"), "secret\n");
    writeFileSync(join(other, "postgres", "PG_VERSION"), "15\n");
    await expect(startPostgres({ dataDir: other })).rejects.toThrow(
      /a cluster of PostgreSQL 15, this is PostgreSQL 18/,
    );
    const file = join(other, "postgres.password", ".data");
    await expect(startPostgres({ dataDir: file })).rejects.toThrow(`cannot write to ${file}: ENOTDIR`);
    const failure = startPostgres({ dataDir, settings: { max_connections: "none" } });
    await expect(failure).rejects.toThrow(/PostgreSQL did not start: .*max_connections.*postgres\.log/);
  });
});
