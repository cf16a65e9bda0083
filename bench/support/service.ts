import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LOG_LEVEL } from "./bench.ts";

const root = join(import.meta.dirname, "../..");
/** The kernel counts CPU time in these. */
const TICKS_PER_SECOND = 100;
const START_WITHIN_MS = 20_000;

/** A running service. */
export interface Service {
  url: string;
  /** CPU time of its process so far; undefined where the system does not say. */
  cpuSeconds(): number | undefined;
  end(): Promise<void>;
}

/** Starts the service as `npm start` does, with nobody reading what it logs; `profileTo` makes it leave a CPU profile. */
export async function startService(
  databaseUrl: string,
  env: Record<string, string>,
  profileTo?: string,
): Promise<Service> {
  const port = await freePort();
  const profile = profileTo === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileTo}`];
  const child = spawn(process.execPath, [...profile, join(root, "scripts/start.ts")], {
    cwd: root,
    // As under npm: it ends by itself when the benchmark is killed.
    env: {
      ...process.env,
      LOG_LEVEL,
      CAMS_DEFINITIONS: "",
      ...env,
      DATABASE_URL: databaseUrl,
      PORT: `${port}`,
      npm_lifecycle_event: "start",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  await answering(child, url);
  return {
    url,
    cpuSeconds: () => cpuSecondsOf(child.pid),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  const deadline = Date.now() + START_WITHIN_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await delay(20);
  }
  child.kill("SIGKILL");
  throw new Error("the service did not start");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function cpuSecondsOf(pid: number | undefined): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}
