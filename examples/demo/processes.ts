import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A process that the demo started. */
export interface Running {
  /** Resolves to the exit code, or the signal. */
  ended: Promise<number | string>;
  end(signal: NodeJS.Signals): Promise<number | string>;
}

const running = new Set<Running>();

/** Runs a script; `onLine` gets each line it prints. */
export function run(
  script: string,
  args: string[],
  env: Record<string, string>,
  onLine: (line: string) => void,
): Running {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", onLine);
  const it: Running = {
    ended: once(child, "close").then(([code, signal]) => {
      running.delete(it);
      return code ?? signal;
    }),
    end(signal) {
      child.kill(signal);
      const patience = setTimeout(() => child.kill("SIGKILL"), 15_000);
      return it.ended.finally(() => clearTimeout(patience));
    },
  };
  running.add(it);
  return it;
}

/** Ends all that runs; the service, started first, as the last, for the agents have something to tell it. */
export async function endAll(dataFolder: string): Promise<void> {
  for (let last = [...running].at(-1); last; last = [...running].at(-1)) await last.end("SIGTERM");
  // A service that was killed leaves its PostgreSQL behind.
  const file = await readFile(join(dataFolder, "postgres", "postmaster.pid"), "utf8").catch(() => "");
  if (file) process.kill(Number(file.split("\n")[0]), "SIGQUIT");
}
