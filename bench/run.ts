import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import pg from "pg";
import { type EmbeddedPostgres, startPostgres } from "../scripts/postgres.ts";
import { benches } from "./index.ts";
import { type Bench, LOG_LEVEL } from "./support/bench.ts";
import { createContext } from "./support/context.ts";
import { mergeResults, type Result, tableOf } from "./support/report.ts";

const USAGE = `node bench/run.ts [--quick] [--results FILE] [--profile FOLDER] [NAME ...]
names: ${benches.map(({ name }) => name).join(", ")}`;

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean" }, results: { type: "string" }, profile: { type: "string" } },
});
const quick = flags.quick === true;
// A smoke run never takes the place of measured figures.
const file = flags.results ?? (quick ? undefined : join(import.meta.dirname, "results.json"));
const profileTo = flags.profile === undefined ? undefined : resolve(flags.profile);

async function main(): Promise<void> {
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(", ")}\n${USAGE}`);
  const folder = await mkdtemp(join(tmpdir(), "cams-bench-"));
  let postgres: EmbeddedPostgres | undefined;
  const cleanUp = async () => {
    await postgres?.stop("immediate");
    await rm(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      // Whoever talks to the database just now loses it. Services and loads end by themselves when this process is gone.
      process.on("uncaughtException", () => {});
      cleanUp().finally(() => process.exit(1));
    });
  try {
    postgres = await startPostgres({ dataDir: folder });
    const version = await postgresVersion(postgres.url);
    console.log(
      `Node ${process.version}, PostgreSQL ${version} (${await durability(postgres.url)}), ${cpus().length} CPUs`,
    );
    console.log(`Service as npm start runs it, LOG_LEVEL=${LOG_LEVEL}, log to the null device.\n`);
    for (const bench of benches.filter(({ name }) => names.length === 0 || names.includes(name))) {
      const result = await resultOf(bench, postgres.url, version);
      console.log(tableOf(bench, result));
      if (file) mergeResults(file, { [bench.name]: result });
    }
  } finally {
    await cleanUp();
  }
}

async function resultOf(bench: Bench, serverUrl: string, version: string): Promise<Result> {
  const start = performance.now();
  const loadBefore = Math.round((loadavg()[0] ?? 0) * 100) / 100;
  const { context, end } = createContext(serverUrl, bench.name, { quick, profileTo });
  try {
    const rows = await bench.run(context);
    const seconds = Math.round((performance.now() - start) / 100) / 10;
    const machine = { node: process.version, postgres: version, cpus: cpus().length, loadBefore, logLevel: LOG_LEVEL };
    return { summary: bench.summary, date: new Date().toISOString(), quick, seconds, ...machine, rows };
  } finally {
    await end();
  }
}

async function postgresVersion(url: string): Promise<string> {
  return show(url, "server_version");
}

async function durability(url: string): Promise<string> {
  return `fsync ${await show(url, "fsync")}, synchronous_commit ${await show(url, "synchronous_commit")}`;
}

async function show(url: string, setting: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query("select current_setting($1) as value", [setting]);
  await client.end();
  return rows[0].value;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
