import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Built, buildFunctions, functionNames } from "./build.ts";
import { ROOT } from "./bundle.ts";
import type { Checked } from "./check.ts";
import { packageOf } from "./package.ts";

const USAGE = `usage: npm run build -- [NAME …]
  NAME …      these functions alone: nothing else is in the folder then
  --check     also starts and calls each, and builds what that needs
  --out DIR   the folder, emptied before (dist)
  --help      this`;

const { values: flags, positionals } = options();
if (flags.help) {
  console.log(USAGE);
  process.exit();
}
/** The check migrates by the one and prepares its calls by the other. */
const needed = ["cams", "system-migrate"];
const folder = flags.out ?? join(ROOT, "dist");

const start = performance.now();
const names = [...new Set([...positionals, ...(flags.check ? needed : [])])];
const built = await buildFunctions(folder, positionals.length > 0 ? names.toSorted() : undefined).catch(
  (error: Error) => fail(error.message),
);
console.log(tableOf(built));
if (built.bundles.size < functionNames.length)
  console.log("\nThere is nothing else in the folder now: to deploy, build all (npm run build).");
console.log(
  `\n${built.bundles.size} of ${functionNames.length} functions in ${((performance.now() - start) / 1000).toFixed(1)} s`,
);

if (flags.check) {
  // Building needs none of what the tests bring.
  const { checkBuilt } = await import("./check.ts");
  const checkStart = performance.now();
  const checked = await checkBuilt(folder, Object.keys(built.manifest.functions), report);
  const faults = checked.filter(({ fault }) => fault !== undefined);
  const seconds = ((performance.now() - checkStart) / 1000).toFixed(1);
  console.log(`${checked.length - faults.length} functions answer, ${faults.length} do not (${seconds} s)`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { check: { type: "boolean" }, out: { type: "string" }, help: { type: "boolean" } },
    });
  } catch (error) {
    return fail(`${(error as Error).message.split(". ")[0]}\n${USAGE}`);
  }
}

/** Ends it before anything was written. */
function fail(message: string): never {
  console.error(`build: ${message}`);
  process.exit(1);
}

function report({ name, firstAnswerMs, peakBytes, fault }: Checked): void {
  console.log(
    `${name.padEnd(24)} ${firstAnswerMs.toFixed(0).padStart(5)} ms ${(peakBytes / 2 ** 20).toFixed(0).padStart(4)} MB  ${fault ?? "ok"}`,
  );
}

/** Each function with its sizes, and what most of what it evaluates at its start is. */
function tableOf({ manifest, bundles }: Built): string {
  const rows = Object.entries(manifest.functions).map(([name, { bytes, bundleBytes }]) => {
    const sizes = new Map<string, number>();
    for (const [input, size] of bundles.get(name)?.inputs ?? []) {
      const key = packageOf(input)?.replace("node_modules/", "") ?? "cams";
      sizes.set(key, (sizes.get(key) ?? 0) + size);
    }
    const biggest = [...sizes].toSorted(([, a], [, b]) => b - a).slice(0, 4);
    return [
      name,
      kilobytes(bundleBytes),
      kilobytes(bytes),
      biggest.map(([key, size]) => `${key} ${kilobytes(size)}`).join(", "),
    ];
  });
  const head = ["function", "bundle KB", "zip KB", "biggest parts, KB"];
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, n) => (n === 1 || n === 2 ? cell.padStart(widths[n] ?? 0) : cell.padEnd(widths[n] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function kilobytes(bytes: number): string {
  return Math.round(bytes / 1024).toLocaleString("en");
}
