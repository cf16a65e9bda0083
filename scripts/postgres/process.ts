import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How PostgreSQL is told to stop: after a checkpoint, or at once with crash recovery at the next start. */
export type StopMode = "fast" | "immediate";

/** Polls until the probe gives something, at most for the time, and returns what it gave last. */
export async function until<T>(probe: () => T | Promise<T>, milliseconds: number): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const result = await probe();
    if (result || Date.now() > deadline) return result;
    await sleep(10);
  }
}

/** Tells whether a process runs, counting one that is dead but not yet reaped as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    // In a container whose first process reaps nobody, an orphan stays a zombie for ever.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return true;
  }
}

/** Tells whether a living process is the PostgreSQL of this cluster, or undefined when that cannot be seen. */
export function servesCluster(pid: number, cluster: string): boolean | undefined {
  if (commandOf(pid)?.includes("postgres") === false) return false;
  try {
    // PostgreSQL works inside its data directory; reading that link is forbidden to root in a default container.
    const [working, wanted] = [statSync(`/proc/${pid}/cwd`), statSync(cluster)];
    return working.dev === wanted.dev && working.ino === wanted.ino;
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    const ps = spawnSync("ps", ["-o", "command=", "-p", `${pid}`], { encoding: "utf8" });
    return ps.status === 0 ? ps.stdout : undefined;
  }
}

/** Stops a PostgreSQL server, the hard way after 10 s, and returns when it is gone. */
export async function stopServer(pid: number, mode: StopMode, isGone = () => !isAlive(pid)): Promise<void> {
  const signals: NodeJS.Signals[] = mode === "fast" ? ["SIGINT", "SIGQUIT"] : ["SIGQUIT"];
  for (const signal of signals) {
    if (isGone()) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    if (await until(isGone, 10_000)) return;
  }
  throw new Error(`PostgreSQL (process ${pid}) does not stop`);
}

/** What a running PostgreSQL says about itself in its data directory. */
export interface PidFile {
  pid: number;
  port: number;
  ready: boolean;
}

/** Reads postmaster.pid, or nothing when there is none or it is only half written. */
export function readPidFile(cluster: string): PidFile | undefined {
  try {
    const lines = readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
    const pid = Math.abs(Number(lines[0]));
    return pid > 0 ? { pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" } : undefined;
  } catch {
    return undefined;
  }
}
