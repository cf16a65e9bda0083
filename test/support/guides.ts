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

/** The rows of the table behind a heading cell, as cells without their ticks. */
export async function table(guide: string, firstCell: string): Promise<string[][]> {
  const lines = (await readFile(guide, "utf8")).split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${firstCell} |`)) + 2;
  const end = lines.findIndex((line, at) => at >= start && !line.startsWith("|"));
  return lines.slice(start, end).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.replaceAll("`", "").trim()),
  );
}

/** Runs a script in a folder of its own that is thrown away; answers the lines it printed. */
export async function bash(script: string, env: Record<string, string> = {}): Promise<string[]> {
  const cwd = await mkdtemp(join(tmpdir(), "cams-readme-"));
  onTestFinished(() => rm(cwd, { recursive: true, force: true, maxRetries: 20 }));
  const { stdout } = await promisify(execFile)("bash", ["-euc", script], { cwd, env: { ...process.env, ...env } });
  return stdout.trim().split("\n");
}
