import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "../bench/support/report.ts";

const run = promisify(execFile);
const bench = (...args: string[]) => run(process.execPath, ["bench/run.ts", ...args], { timeout: 60_000 });

let folder: string;
let output: string;
let results: Record<string, Result>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cams-bench-test-"));
  const file = join(folder, "results.json");
  output = (await bench("--quick", "--results", file, "lookup", "sweep")).stdout;
  results = JSON.parse(await readFile(file, "utf8"));
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

test("only what was named is run, and its circumstances are recorded", () => {
  expect(Object.keys(results)).toEqual(["lookup", "sweep"]);
  for (const result of Object.values(results)) {
    expect(result).toMatchObject({ quick: true, node: process.version, logLevel: "INFO" });
    expect(result.postgres).toMatch(/^\d+/);
    expect(result.cpus).toBeGreaterThan(0);
    expect(Date.parse(result.date)).toBeLessThanOrEqual(Date.now());
  }
});

test("every figure stands beside a yardstick taken in the same run", () => {
  const rows = Object.values(results).flatMap((result) => result.rows);
  expect(rows.length).toBeGreaterThanOrEqual(8);
  for (const row of rows) {
    expect(row.value, row.what).toBeGreaterThan(0);
    expect(row.yardsticks.length, row.what).toBeGreaterThan(0);
    for (const { name, value, ratio } of row.yardsticks) {
      expect(value, `${row.what}: ${name}`).toBeGreaterThan(0);
      expect(ratio, `${row.what}: ${name}`).toBeGreaterThan(0);
    }
  }
});

test("look-ups have percentiles, and every figure is in the table", () => {
  for (const row of results.lookup?.rows ?? []) expect(row.p99).toBeGreaterThanOrEqual(row.p50 ?? Number.NaN);
  for (const row of Object.values(results).flatMap((result) => result.rows)) expect(output).toContain(row.what);
  expect(output).toContain("fsync on, synchronous_commit on");
});

test("an unknown name is refused with the names there are", async () => {
  await expect(bench("nothing")).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("lookup, send") });
});
