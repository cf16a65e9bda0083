import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const START_WITHIN_MS = 60_000;

/** What is asked of a function. */
export interface Ask {
  method: string;
  path: string;
  body?: string | undefined;
  headers?: Record<string, string> | undefined;
}

/** What it answers; `body` is parsed when it is JSON. */
export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it depends on what was asked
  body: any;
}

/** A function at work under the framework's command line. */
export interface Running {
  ask(what: Ask): Promise<Answered>;
  /** Milliseconds from the start of the process to the first answer; undefined before it. */
  firstAnswerMs(): number | undefined;
  /** Most memory that the process had, in bytes; undefined where the system does not tell. */
  peakBytes(): number | undefined;
  /** Ends it as the platform does, by SIGTERM; answers its exit code. */
  end(): Promise<number | null>;
  kill(): void;
}

/** Installs into `folder` what the built functions there need beside themselves: it is the same for all. */
export async function installFramework(folder: string, name: string): Promise<void> {
  for (const file of ["package.json", "package-lock.json"])
    copyFileSync(join(folder, "functions", name, file), join(folder, file));
  const { npm_execpath: npm, npm_node_execpath: node = process.execPath } = process.env;
  const args = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  const run = promisify(execFile);
  await (npm ? run(node, [npm, ...args], { cwd: folder }) : run("npm", args, { cwd: folder }));
}

/** Starts a built function, in its folder under one with what it needs, on a Unix socket at `socketPath`. */
export function startBuilt(folder: string, name: string, socketPath: string, env: Record<string, string>): Running {
  return startFunction({ installed: folder, cwd: join(folder, "functions", name), name, socketPath, env });
}

interface Start {
  /** The folder in which the framework is installed. */
  installed: string;
  cwd: string;
  name: string;
  /** The file that registers it, seen from `cwd`; by default what its package.json says. */
  source?: string;
  socketPath: string;
  env: Record<string, string>;
}

/** Starts a function as the platform does, but for the Unix socket: without authentication it refuses the network. */
export function startFunction({ installed, cwd, name, source, socketPath, env }: Start): Running {
  const { PATH = "" } = process.env;
  const start = performance.now();
  let firstAnswer: number | undefined;
  let errors = "";
  const child = spawn(
    process.execPath,
    [
      join(installed, "node_modules/.bin/functions-framework"),
      `--target=${name}`,
      `--port=${socketPath}`,
      ...(source ? [`--source=${source}`] : []),
    ],
    { cwd, env: { PATH, ...env }, stdio: ["ignore", "ignore", "pipe"] },
  );
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  return {
    async ask(what) {
      for (;;) {
        try {
          const answer = await askOnce(socketPath, what);
          firstAnswer ??= performance.now() - start;
          return answer;
        } catch (error) {
          const notYet = ["ENOENT", "ECONNREFUSED"].includes((error as NodeJS.ErrnoException).code ?? "");
          if (!notYet || child.exitCode !== null || performance.now() - start > START_WITHIN_MS)
            throw new Error(`${name} does not answer (${(error as Error).message})\n${errors}`);
          await delay(2);
        }
      }
    },
    firstAnswerMs: () => firstAnswer,
    peakBytes: () => peakBytesOf(child.pid),
    end() {
      child.kill("SIGTERM");
      return ended;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

async function askOnce(socketPath: string, { method, path, body, headers = {} }: Ask): Promise<Answered> {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  const asking = request({ socketPath, method, path, headers: { ...type, ...headers } });
  asking.end(body);
  const [answer] = await once(asking, "response");
  let text = "";
  // Of a stream, which has no end of its own, what comes first.
  const isStream = answer.headers["content-type"] === "text/event-stream";
  for await (const data of answer.setEncoding("utf8")) {
    text += data;
    if (isStream) break;
  }
  const isJson = /json/.test(answer.headers["content-type"] ?? "");
  return { status: answer.statusCode, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

function peakBytesOf(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
