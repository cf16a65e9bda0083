import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

/** The curl lines of a document below a heading, one script for each block. */
export async function scriptsOf(document: string, heading: string): Promise<string[]> {
  const section =
    (await readFile(document, "utf8")).split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, script = ""]) => script);
}

/** Runs a script in a folder of its own that is thrown away; answers the lines it printed. */
export async function bash(script: string, env: Record<string, string> = {}): Promise<string[]> {
  const cwd = await mkdtemp(join(tmpdir(), "cams-readme-"));
  onTestFinished(() => rm(cwd, { recursive: true, force: true, maxRetries: 20 }));
  const { stdout } = await promisify(execFile)("bash", ["-euc", script], { cwd, env: { ...process.env, ...env } });
  return stdout.trim().split("\n");
}
