import type { App } from "../../functions/compose.ts";
import type { Caller } from "../../shared/rules/access.ts";
import { callerWithin } from "../in-process.ts";
import { loadDefinitions } from "./load.ts";
import { isRefused, linesOf, summaryOf } from "./report.ts";

const LOADER: Caller = { principal: "loader", role: "admin", addresses: [] };

/** Loads a folder of definitions within this process. What is refused is told, and nothing is thrown for it. */
export async function loadWithin(app: App, folder: string): Promise<void> {
  try {
    const loaded = await loadDefinitions(folder, { post: callerWithin(app, LOADER), publish: true, dryRun: false });
    const toTell = loaded.filter((one) => isRefused(one) || one.result.warnings);
    for (const line of linesOf(toTell)) console.error(line);
    if (toTell.length > 0) console.error(`definitions of ${folder}: ${summaryOf(loaded)}`);
  } catch (error) {
    console.error(`definitions of ${folder} are not loaded: ${(error as Error).message}`);
  }
}
