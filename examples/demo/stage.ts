import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endAll, type Running, run } from "./processes.ts";

const trouble = Promise.withResolvers<never>();
/** The service that the story runs on, once it is ready. */
export let url = "";

/**
 * Tells a story on a service of its own, on a free port, with data that are thrown away at the end; then ends the
 * process, with 1 and a line when something was not as it should be.
 */
export async function stage(name: string, story: () => Promise<void>): Promise<never> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => trouble.reject(new Error(`interrupted by ${signal}`)));
  process.stdout.on("error", trouble.reject);
  const folder = await mkdtemp(join(tmpdir(), "cams-demo-"));
  const told = startService(folder).then(story);
  const fault = await Promise.race([told, trouble.promise]).catch((error: Error) => error);
  await endAll(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  if (fault) console.error(`${name} failed: ${fault.message}`);
  process.exit(fault ? 1 : 0);
}

async function startService(folder: string): Promise<void> {
  const env = {
    PORT: "0",
    CAMS_DATA_DIR: folder,
    CAMS_DEFINITIONS: join(import.meta.dirname, "../definitions"),
    LOG_LEVEL: "ERROR",
    DATABASE_URL: "",
    INSTANCE_CONNECTION_NAME: "",
    // Nobody else calls it.
    AUTH_MODE: "none",
    AUTH_ISSUERS: "",
    PLATFORM_AUTH: "",
    // As under npm, the service ends with its parent, should that be killed.
    npm_lifecycle_event: "demo",
  };
  const faults: string[] = [];
  const service = run("../../scripts/start.ts", [], env, (line) => {
    const ready = /^cams ready on (\S+)/.exec(line)?.[1];
    if (ready) url = ready;
    else if (/^cams cannot|ERROR|ALERT/.test(line)) faults.push(line);
  });
  service.ended.then((code) => trouble.reject(new Error(`the service ended (${code}) ${faults.join(" ")}`)));
  await until("the service is ready", 50, async () => url || undefined);
}

/** An agent in a process of its own: the story fails when it ends by itself. */
export function startAgent(
  script: string,
  args: string[],
  env: Record<string, string>,
  onLine: (line: string) => void,
): Running {
  const agent = run(`../${script}`, args, { CAMS_URL: url, ...env }, onLine);
  agent.ended.then(
    (code) => code !== 0 && code !== "SIGKILL" && trouble.reject(new Error(`${args.join(" ")} ended (${code})`)),
  );
  return agent;
}

/** Calls the service. */
export async function api<T>(method: string, path: string, given?: unknown): Promise<{ status: number; body: T }> {
  const response = await fetch(url + path, {
    method,
    ...(given !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(given) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** Looks every so many milliseconds until there is something to see, for 30 s at most. */
export async function until<T>(what: string, everyMs: number, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(everyMs)) {
    const seen = await look();
    if (seen !== undefined) return seen;
  }
  throw new Error(`not so after 30 s: ${what}`);
}

/** @throws Error that says what should be so */
export function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`not so: ${what}`);
}
