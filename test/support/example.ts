import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished, vi } from "vitest";
import type { Service } from "./service.ts";

/** An example in a process of its own. */
export interface Example {
  lines: string[];
  /** Waits for a line; answers when it was read. */
  line(pattern: RegExp): Promise<number>;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

/** Runs examples against a service; each is killed when its test ends. */
export function runnerFor(service: Service) {
  return (script: string, args: string[] = [], env: Record<string, string> = {}): Example => {
    const { npm_lifecycle_event: _, ...inherited } = process.env;
    const child = spawn(process.execPath, [new URL(`../../examples/${script}`, import.meta.url).pathname, ...args], {
      env: { ...inherited, CAMS_URL: service.url, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const lines: string[] = [];
    const times: number[] = [];
    for (const stream of [child.stdout, child.stderr])
      createInterface(stream).on("line", (line) => {
        lines.push(line);
        times.push(performance.now());
      });
    const ended = once(child, "close").then(([code, signal]) => code ?? signal);
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    return {
      lines,
      ended,
      kill: (signal) => void child.kill(signal),
      line: (pattern) =>
        vi.waitFor(
          () => {
            const at = lines.findIndex((line) => pattern.test(line));
            if (at < 0) throw new Error(`no line ${pattern} in:\n${lines.join("\n")}`);
            return times[at] as number;
          },
          { timeout: 20_000, interval: 20 },
        ),
    };
  };
}
