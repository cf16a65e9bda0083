import type { DocumentFault } from "../../shared/rules/definition-yaml.ts";
import { placeOf } from "./files.ts";
import type { Loaded } from "./load.ts";

/** Most lines about one document: a file that is no YAML at all has a fault in each of its own. */
const MAX_TOLD = 10;

/** Whether a document was not taken in. */
export function isRefused({ result: { action } }: Loaded): boolean {
  return action === "conflict" || action === "invalid";
}

/**
 * What became of documents, for people: a line for each that is new, refused or warned about, and below it what is wrong
 * and where.
 */
export function linesOf(loaded: readonly Loaded[]): string[] {
  return loaded.flatMap(linesOfOne);
}

function linesOfOne(one: Loaded): string[] {
  const { id, version = "", action, status, current, problem, errors = [], warnings = [] } = one.result;
  if (action === "unchanged" && warnings.length === 0) return [];
  const place = current ? "current" : status?.toLowerCase();
  const told = [`${action.padEnd(9)} ${id || "?"} ${version}`.trimEnd(), ...(place ? [place] : [])].join("  ");
  // A refusal names its faults itself.
  const faults = problem
    ? [{ pointer: errors[0]?.pointer ?? "", message: `${problem.code}: ${problem.detail}` }]
    : errors;
  const all: DocumentFault[] = [...faults, ...warnings.map((one) => ({ ...one, message: `warning: ${one.message}` }))];
  const placed = all.slice(0, MAX_TOLD).map(({ pointer, message, ...known }) => {
    const { line, column } = action === "invalid" ? known : placeOf(one, pointer);
    const place = [one.file, line, column].filter((part) => part !== undefined).join(":");
    return `  ${[place, pointer, message].filter((part) => part !== "").join(" ")}`;
  });
  const more = all.length - placed.length;
  return [told, ...placed, ...(more > 0 ? [`  ${one.file}: and ${more} more`] : [])];
}

/** How many of which, in one line. */
export function summaryOf(loaded: readonly Loaded[]): string {
  const counts = Object.entries(Object.groupBy(loaded, ({ result }) => result.action));
  const parts = counts.map(([action, of]) => `${of.length} ${action === "conflict" ? "refused" : action}`);
  const count = `${loaded.length} document${loaded.length === 1 ? "" : "s"}`;
  return parts.length > 0 ? `${count}: ${parts.join(", ")}` : count;
}
