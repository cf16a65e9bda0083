import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, handOver, spawnOptions } from "./account.ts";
import { readPidFile, type StopMode, stopServer, until } from "./process.ts";

const READY_WITHIN = 60_000;
// Another program took the port meanwhile; sessions of a killed PostgreSQL are still busy with their last query; or
// an orphan was still so young that its postmaster.pid came only after we had looked for it.
const TRANSIENT = /could not create any TCP\/IP sockets|pre-existing shared memory block|lock file .* already exists/;

/** A PostgreSQL process that accepts connections. */
export interface Server {
  pid: number;
  port: number;
  stop(mode: StopMode): Promise<void>;
  onExit(listener: () => void): void;
}

/** What to start. */
export interface Launch {
  program: string;
  dataDir: string;
  account: Account | undefined;
  settings: Record<string, string>;
  /** Clears away an earlier server, before every attempt. */
  settle(): Promise<void>;
}

/** Starts PostgreSQL on a free port and waits until it is ready, crash recovery included. */
export async function startServer(launch: Launch): Promise<Server> {
  const cluster = join(launch.dataDir, "postgres");
  const deadline = Date.now() + READY_WITHIN;
  for (;;) {
    await launch.settle();
    const port = await freePort();
    const log = openLog(join(launch.dataDir, "postgres.log"));
    const child = spawnPostgres(launch, cluster, port, log);
    const isGone = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    const isReady = () => {
      const file = readPidFile(cluster);
      // The port too: in a restarted container the new process often has the id in the old postmaster.pid.
      return file?.pid === child.pid && file?.port === port && file.ready;
    };
    await until(() => isGone() || isReady(), deadline - Date.now());
    const pid = child.pid ?? 0;
    if (!isGone() && isReady()) {
      return {
        pid,
        port,
        stop: (mode) => stopServer(pid, mode, isGone),
        onExit: (listener) => child.on("exit", listener),
      };
    }
    if (!isGone()) await stopServer(pid, "immediate", isGone);
    const lines = readFileSync(log.path).subarray(log.start).toString().trim().split("\n").slice(-10);
    const failure = lines.findLast((line) => /FATAL|PANIC|ERROR/.test(line)) ?? lines.at(-1);
    if (Date.now() < deadline && lines.some((line) => TRANSIENT.test(line))) {
      await sleep(100);
      continue;
    }
    const reason = child.spawnError?.message ?? failure?.replace(/^.*?(FATAL|PANIC|ERROR): */, "");
    throw new Error(`PostgreSQL did not start: ${reason} (see ${log.path})`, { cause: lines.join("\n") });
  }
}

interface Log {
  path: string;
  start: number;
  descriptor: number;
}

function openLog(path: string): Log {
  const old = statSync(path, { throwIfNoEntry: false });
  // A service restarted for months must not fill the disk: two files of some 10 MB are enough to look back.
  if (old && old.size > 10_000_000) renameSync(path, `${path}.1`);
  const descriptor = openSync(path, "a", 0o600);
  return { path, start: fstatSync(descriptor).size, descriptor };
}

type Child = ChildProcess & { spawnError?: Error };

function spawnPostgres({ program, account, settings }: Launch, cluster: string, port: number, log: Log): Child {
  const handed = handOver(cluster, account);
  const flags = Object.entries({ ...settings, port }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  // Detached, so that Ctrl-C in a terminal reaches only the service, which drains before it stops PostgreSQL.
  const child: Child = spawn(program, ["-D", handed.path, ...flags], {
    ...spawnOptions(account),
    detached: true,
    stdio: ["ignore", log.descriptor, log.descriptor, ...handed.stdio],
  });
  child.on("error", (error) => {
    child.spawnError = error;
  });
  child.unref();
  handed.close();
  closeSync(log.descriptor);
  return child;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
