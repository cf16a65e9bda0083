import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildFunctions, functionNames, type Manifest } from "../../scripts/build/build.ts";
import { bundleLibraries } from "../../scripts/build/bundle.ts";
import { type Answered, type Ask, installFramework, startBuilt } from "../../scripts/build/run.ts";
import { type Context, LOG_LEVEL } from "./bench.ts";
import type { Turn } from "./turns.ts";

const HELLO = `require("@google-cloud/functions-framework").http("hello", (_, res) => res.send("hello"));\n`;

/** Functions as they are deployed. */
export interface Bundled {
  manifest: Manifest;
  /** Starts one, `hello` too, has it answer, and ends it. */
  start(name: string, what: Ask, databaseUrl?: string): Promise<Turn>;
  /** Loads one package, bundled alone, in a process of its own. */
  load(library: string): Promise<Turn>;
}

/** Builds functions and, beside them, a hello of the framework alone; and packages, each alone. */
export async function buildBundled(
  context: Context,
  names: readonly string[] = functionNames,
  libraries: readonly string[] = [],
): Promise<Bundled> {
  const folder = mkdtempSync(join(tmpdir(), "cams-bench-build-"));
  context.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { manifest } = await buildFunctions(folder, names);
  await installFramework(folder, names[0] ?? "cams");
  const hello = join(folder, "functions/hello");
  mkdirSync(hello);
  writeFileSync(join(hello, "package.json"), '{"name":"hello","type":"commonjs","main":"index.js"}\n');
  writeFileSync(join(hello, "index.js"), HELLO);
  const made = [...(await bundleLibraries(libraries)).values()];
  for (const [n, { code }] of made.entries()) writeFileSync(join(folder, `${n}.cjs`), code);

  let started = 0;
  return {
    manifest,
    async start(name, what, databaseUrl) {
      started += 1;
      const running = startBuilt(folder, name, join(folder, `${started}.sock`), {
        NODE_ENV: "production",
        AUTH_MODE: "none",
        LOG_LEVEL,
        DELIVER_SECONDS: "0",
        ALLOW_INSECURE_DESTINATIONS: "true",
        SECRETS_KEY: Buffer.alloc(32).toString("base64"),
        ...(databaseUrl && { DATABASE_URL: databaseUrl }),
      });
      try {
        const { status, body }: Answered = await running.ask(what);
        if (status >= 300) throw new Error(`${name} answers ${status}: ${JSON.stringify(body)}`);
        const peak = running.peakBytes();
        const extra = peak === undefined ? {} : { extra: { "peak RSS MB": peak / 2 ** 20 } };
        return { value: running.firstAnswerMs() ?? Number.NaN, ...extra };
      } finally {
        running.kill();
      }
    },
    async load(library) {
      const script =
        "const start = performance.now(); require(process.argv[1]); console.log(performance.now() - start)";
      const file = join(folder, `${libraries.indexOf(library)}.cjs`);
      const { stdout } = await promisify(execFile)(process.execPath, ["-e", script, file]);
      return { value: Number(stdout) };
    },
  };
}
