import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";

const root = new URL("../../../", import.meta.url).pathname;
const main = join(root, "node_modules/@google-cloud/functions-framework/build/src/main.js");

/** A function under the framework's own command line, as it is deployed. */
export interface FrameworkProcess {
  child: ChildProcess;
  /** Standard output so far, line by line. */
  lines(): string[];
  errors(): string;
  ended: Promise<{ code: number | null; signal: string | null }>;
}

interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  body: any;
}

export function startFramework(target: string, port: string, env: Record<string, string>): FrameworkProcess {
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE = "" } = process.env;
  const child = spawn(process.execPath, [main, "--source=functions/main.ts", `--target=${target}`, `--port=${port}`], {
    cwd: root,
    env: { PATH, HOME, NODE_COMPILE_CACHE, NODE_ENV: "production", AUTH_MODE: "none", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    child,
    lines: () => out.split("\n").filter((line) => line !== ""),
    errors: () => err,
    ended: once(child, "close").then(([code, signal]) => ({ code, signal })),
  };
}

/** A place for a socket, gone with the test. */
export async function socketPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-framework-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "socket");
}

/** One request over the socket, tried again until the server listens. */
export async function ask(path: string, method: string, url: string, body?: string): Promise<RawAnswer> {
  for (let tries = 0; ; tries++) {
    try {
      return await askOnce(path, method, url, body);
    } catch (error) {
      if (!["ENOENT", "ECONNREFUSED"].includes((error as NodeJS.ErrnoException).code ?? "") || tries === 200)
        throw error;
      await delay(50);
    }
  }
}

async function askOnce(socketPath: string, method: string, path: string, body?: string): Promise<RawAnswer> {
  const asked = request({ socketPath, method, path, headers: { "content-type": "application/json" } });
  asked.end(body);
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const data of answer) text += data;
  const isJson = /json/.test(answer.headers["content-type"] ?? "");
  return { status: answer.statusCode, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}
