import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Context, LOG_LEVEL } from "./bench.ts";

const root = join(import.meta.dirname, "../..");
const framework = join(root, "node_modules/@google-cloud/functions-framework/build/src/main.js");
const START_WITHIN_MS = 20_000;

interface Start {
  source: string;
  target: string;
  method: string;
  path: string;
  databaseUrl: string | undefined;
}

let started = 0;

/**
 * Starts one function as the platform does, asks it until it answers 200, and ends it; the peak is of its memory. It
 * listens on a Unix socket: without authentication it refuses an address of the network, and the framework takes any.
 */
export async function startFunction(context: Context, { source, target, method, path, databaseUrl }: Start) {
  started += 1;
  const socketPath = join(tmpdir(), `cams-bench-${process.pid}-${started}.sock`);
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [framework, `--source=${source}`, `--target=${target}`, `--port=${socketPath}`],
    {
      cwd: root,
      env: {
        ...process.env,
        NODE_ENV: "production",
        AUTH_MODE: "none",
        LOG_LEVEL,
        ...(databaseUrl && { DATABASE_URL: databaseUrl }),
      },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  context.defer(() => child.kill("SIGKILL"));
  try {
    while ((await statusOf(socketPath, method, path)) !== 200) {
      if (performance.now() - start > START_WITHIN_MS || child.exitCode !== null)
        throw new Error(`${target} did not start`);
      await delay(1);
    }
    return { milliseconds: performance.now() - start, peakBytes: peakBytesOf(child.pid) };
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(socketPath, { force: true });
  }
}

/** The answer's status, or undefined while nobody listens. */
function statusOf(socketPath: string, method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asking = request({ socketPath, method, path }, (answer) => {
      answer.resume();
      answer.once("end", () => resolve(answer.statusCode));
    });
    asking.once("error", () => resolve(undefined));
    asking.end();
  });
}

function peakBytesOf(pid: number | undefined): number | undefined {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
  } catch {
    return undefined;
  }
}
