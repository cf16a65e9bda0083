// Imports a folder of definitions into a running service: docs/definitions.md.
//
//   npm run definitions:load -- DIR [--dry-run] [--draft] [--url URL]
//
// It may be run again and again: what is there stays as it is. Ends with 1 when a document was refused.
import { parseArgs } from "node:util";
import { loadDefinitions } from "./definitions/load.ts";
import { isRefused, linesOf, summaryOf } from "./definitions/report.ts";
import type { Answered } from "./in-process.ts";

const USAGE = `usage: npm run definitions:load -- DIR [--dry-run] [--draft] [--url URL]
  DIR          a folder with *.yaml and *.yml files, at whatever depth, or one file
  --dry-run    tell what would happen, and write nothing
  --draft      keep what is new as drafts instead of publishing it
  --url URL    of the service (CAMS_URL, or else http://127.0.0.1:8080)
CAMS_KEY is the key it is called with, an operator's or an administrator's, where the service asks for one.`;

try {
  process.exitCode = (await load(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  console.error(`definitions:load: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function load(args: string[]): Promise<boolean> {
  const flag = { type: "boolean", default: false } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { ...flag, short: "h" }, "dry-run": flag, draft: flag, url: { type: "string" } },
  });
  if (values.help) {
    console.log(USAGE);
    return true;
  }
  const [folder] = positionals;
  if (positionals.length !== 1 || !folder) throw new Error(USAGE);
  const base = (values.url ?? (process.env.CAMS_URL || "http://127.0.0.1:8080")).replace(/\/+$/, "");
  if (!/^https?:/.test(base) || !URL.canParse(base)) throw new Error(`the URL must be http or https, not ${base}`);
  const dryRun = values["dry-run"];
  const loaded = await loadDefinitions(folder, {
    post: posting(base, process.env.CAMS_KEY),
    publish: !values.draft,
    dryRun,
    ...(process.stderr.isTTY && { progress }),
  }).finally(() => process.stderr.isTTY && process.stderr.write("\r\x1b[K"));
  for (const line of linesOf(loaded)) console.log(line);
  console.log(`${summaryOf(loaded)}${dryRun ? " (dry run: nothing was written)" : ""}`);
  return !loaded.some(isRefused);
}

function progress(done: number, all: number): void {
  process.stderr.write(`\r\x1b[K${done} of ${all} documents`);
}

function posting(base: string, key: string | undefined) {
  return async (path: string, body: string): Promise<Answered> => {
    try {
      const answer = await fetch(base + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...(key && { "x-cams-key": key }) },
        body,
        signal: AbortSignal.timeout(120_000),
      });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() };
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
      const [why] = (cause?.message || cause?.code || message).trim().split("\n");
      throw new Error(`${base} does not answer (${why}): is the service running?`);
    }
  };
}
