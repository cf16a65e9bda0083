import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

/** The service as `npm start` runs it, in a process of its own. */
export interface ServiceProcess {
  url: string;
  child: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Resolves at its end to the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
  /** Sends a signal and waits for the end; answers the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

interface Ended {
  code: number | NodeJS.Signals | null;
  output: string;
  milliseconds: number;
}

const script = new URL("../../scripts/start.ts", import.meta.url).pathname;

function spawnService(env: Record<string, string>) {
  const { DATABASE_URL: _, npm_lifecycle_event: __, ...inherited } = process.env;
  const child = spawn(process.execPath, [script], {
    env: { ...inherited, PORT: "0", LOG_LEVEL: "ERROR", CAMS_DEFINITIONS: "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data));
  const ended = once(child, "exit").then(([code, signal]) => code ?? signal);
  return { child, ended, output: () => text };
}

/** Starts it and waits until it is ready; whatever still runs when the test ends is killed. */
export async function startProcess(env: Record<string, string>): Promise<ServiceProcess> {
  const { child, ended, output } = spawnService(env);
  onTestFinished(() => void child.kill("SIGKILL"));
  const ready = new Promise<string>((resolve) => {
    createInterface(child.stdout as NodeJS.ReadableStream).on("line", (line) => {
      const url = /^cams ready on (http:\S+)$/.exec(line)?.[1];
      if (url) resolve(url);
    });
  });
  const url = await Promise.race([
    ready,
    ended.then((code) => {
      throw new Error(`the service ended (${code}) before it was ready: ${output()}`);
    }),
  ]);
  return {
    url,
    child,
    output,
    ended,
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** Starts it where it cannot start, and waits for its end. */
export async function startAndFail(env: Record<string, string>): Promise<Ended> {
  const start = performance.now();
  const { ended, output } = spawnService(env);
  return { code: await ended, output: output(), milliseconds: performance.now() - start };
}
