import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { startPostgres } from "../postgres.ts";
import { callsThrough } from "./calls.ts";
import { type Ask, installFramework, type Running, startBuilt } from "./run.ts";

/** What came of one function: how soon it answered, how much memory it took, and what is wrong with it, if anything. */
export interface Checked {
  name: string;
  firstAnswerMs: number;
  peakBytes: number;
  fault?: string;
}

const AT_ONCE = 2;
const MIGRATE = "system-migrate";
/** By which `cams` is checked; the other checks' calls are prepared through it. */
const ASKED_OF_CAMS = "inboxes-list";

/**
 * Starts functions built into `folder` under the framework's command line, over an empty database that the built
 * `system-migrate` migrates, and calls each as the contract tests do: it must succeed. Answers what came of each.
 */
export async function checkBuilt(
  folder: string,
  names: readonly string[],
  done: (checked: Checked) => void = () => {},
): Promise<Checked[]> {
  await using ends = new AsyncDisposableStack();
  const place = mkdtempSync(join(tmpdir(), "cams-check-"));
  ends.defer(() => rmSync(place, { recursive: true, force: true }));
  const needed = [...new Set([MIGRATE, "cams", ...names])];
  for (const name of needed)
    cpSync(join(folder, "functions", name), join(place, "functions", name), { recursive: true });
  await installFramework(place, "cams");
  const database = await startPostgres({ dataDir: join(place, "database") });
  ends.defer(() => database.stop("immediate"));

  let started = 0;
  function start(name: string): Running {
    started += 1;
    const running = startBuilt(place, name, join(place, `${started}.sock`), {
      NODE_ENV: "production",
      AUTH_MODE: "none",
      DATABASE_URL: database.url,
      SECRETS_KEY: randomBytes(32).toString("base64"),
      ALLOW_INSECURE_DESTINATIONS: "true",
      DELIVER_SECONDS: "0",
      // One of them logs as in production: by a library that is loaded after the first answer.
      LOG_TRANSPORT: name === "cams" ? "google" : "console",
    });
    ends.defer(() => running.kill());
    return running;
  }

  const loaded = new Set<string>();
  const results: Checked[] = [];
  async function check(
    name: string,
    endpoint: Endpoint | undefined,
    prepare: (endpoint: Endpoint) => Promise<Ask>,
  ): Promise<void> {
    const checked: Checked = { name, firstAnswerMs: Number.NaN, peakBytes: Number.NaN };
    try {
      if (!endpoint) throw new Error("no endpoint has this name");
      await loadUnconfigured(join(place, "functions", name), loaded);
      const call = await prepare(endpoint);
      const running = start(name);
      await succeed(running, endpoint, call);
      checked.firstAnswerMs = running.firstAnswerMs() ?? Number.NaN;
      checked.peakBytes = running.peakBytes() ?? Number.NaN;
      const code = await running.end();
      if (code !== 0) throw new Error(`told to end, it ends with ${code}`);
    } catch (error) {
      checked.fault = (error as Error).message;
    }
    results.push(checked);
    done(checked);
  }

  const byName = new Map(endpoints.map((endpoint) => [endpoint.name, endpoint]));
  await check(MIGRATE, byName.get(MIGRATE), async ({ method, path }) => ({ method, path }));
  const owner = new pg.Client(database.url);
  await owner.connect();
  ends.defer(() => owner.end());
  const prepare = callsThrough(start("cams").ask, owner);

  const left = needed.filter((name) => name !== MIGRATE).toReversed();
  async function work(): Promise<void> {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      await check(name, byName.get(name === "cams" ? ASKED_OF_CAMS : name), prepare);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

async function succeed(running: Running, endpoint: Endpoint, call: Ask): Promise<void> {
  const { status, headers, body } = await running.ask(call);
  if (status !== endpoint.status)
    throw new Error(`it answers ${status} instead of ${endpoint.status}: ${JSON.stringify(body)}`);
  if (!headers["x-request-id"]) throw new Error("its answer has no X-Request-Id");
}

/**
 * Loads a function, and those of its libraries that were not loaded yet, as the platform may while it builds: with an empty
 * environment.
 * @throws Error when it fails, or keeps the process from ending
 */
async function loadUnconfigured(folder: string, loaded: Set<string>): Promise<void> {
  const libraries = globSync("lib/**/*.js", { cwd: folder }).filter((file) => !loaded.has(file));
  for (const file of libraries) loaded.add(file);
  const script = `require("./index.js");
    for (const file of ${JSON.stringify(libraries)})
      if (Object.keys(require("./" + file)).length === 0) throw new Error(file + " exports nothing");`;
  try {
    await promisify(execFile)(process.execPath, ["-e", script], { cwd: folder, env: {}, timeout: 60_000 });
  } catch (error) {
    throw new Error(`without configuration it cannot be loaded: ${(error as Error).message}`);
  }
}
