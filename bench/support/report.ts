import { readFileSync, writeFileSync } from "node:fs";
import type { Bench, Row } from "./bench.ts";

/** One benchmark's figures and the circumstances they were taken in. */
export interface Result {
  summary: string;
  date: string;
  quick: boolean;
  seconds: number;
  node: string;
  postgres: string;
  cpus: number;
  /** Processes that wanted to run in the minute before: above 0.5 somebody else was measured as well. */
  loadBefore: number;
  logLevel: string;
  rows: Row[];
}

/** The figures as a table to read: what, figure, percentiles, and every yardstick with its ratio. */
export function tableOf({ name }: Bench, result: Result): string {
  const rows = result.rows.map((row) => [
    row.what,
    `${figure(row.value)} ${row.unit}`,
    row.p50 === undefined ? "" : `p50 ${figure(row.p50)} ms`,
    row.p99 === undefined ? "" : `p99 ${figure(row.p99)} ms`,
    ...row.yardsticks.map((yardstick) => `${figure(yardstick.ratio)} × ${yardstick.name} (${figure(yardstick.value)})`),
  ]);
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const lines = rows.flatMap((row, index) => {
    const extra = Object.entries(result.rows[index]?.extra ?? {}).map(([key, value]) => `${key} ${figure(value)}`);
    const line = row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ");
    return [`  ${line.trimEnd()}`, ...(extra.length > 0 ? [`      ${extra.join(", ")}`] : [])];
  });
  return [
    `${name}: ${result.summary} (${figure(result.seconds)} s, load before ${figure(result.loadBefore)})`,
    ...lines,
    "",
  ].join("\n");
}

/** Writes results to a file of all benchmarks; those that did not run now keep their last figures. */
export function mergeResults(file: string, results: Record<string, Result>): void {
  let known: Record<string, Result> = {};
  try {
    known = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  writeFileSync(file, `${JSON.stringify({ ...known, ...results }, null, 2)}\n`);
}

function figure(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : `${value}`;
}
