import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** What a command printed, and how it ended. */
export interface Loaded {
  code: number;
  /** Lines of standard output, without the folder's name. */
  lines: string[];
  error: string;
}

/** Writes files into a folder that ends with the test. */
export async function folderOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-definitions-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 20 }));
  await addTo(folder, files);
  return folder;
}

/** Writes files into a folder, over what is there. */
export async function addTo(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

/** Runs `npm run definitions:load` on a folder. */
export function load(
  url: string,
  folder: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Loaded> {
  const { CAMS_KEY: _, ...inherited } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["scripts/load-definitions.ts", folder, ...args],
      { env: { ...inherited, CAMS_URL: url, ...env } },
      (failure, stdout, stderr) => {
        const text = stdout.replaceAll(`${folder}/`, "").trim();
        const code = failure === null ? 0 : Number(failure.code);
        resolve({ code, lines: text === "" ? [] : text.split("\n"), error: stderr.trim() });
      },
    );
  });
}

/** An agent in YAML; `more` are further lines. */
export function agent(id: string, version = "1.0.0", more = ""): string {
  return `kind: Agent\nmetadata:\n  id: ${id}\n  name: An agent\n  version: ${version}\n${more}`;
}

/** A team in YAML. */
export function team(id: string, ...members: string[]): string {
  const list = members.map((member) => `  - id: ${member}\n`).join("");
  return `kind: Team\nmetadata:\n  id: ${id}\n  name: A team\n  version: 1.0.0\nmode: route\nmembers:\n${list}`;
}
