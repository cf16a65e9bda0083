import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildFunctions, functionNames, type Manifest } from "../../scripts/build/build.ts";
import { bundleLibraries, ROOT } from "../../scripts/build/bundle.ts";
import { type Ask, installFramework, type Running, startBuilt, startFunction } from "../../scripts/build/run.ts";
import { type Context, LOG_LEVEL } from "./bench.ts";
import type { Turn } from "./turns.ts";

const HELLO = `require("@google-cloud/functions-framework").http("hello", (_, res) => res.send("hello"));\n`;

/** Functions as they are deployed. */
export interface Bundled {
  manifest: Manifest;
  /** Starts one, `hello` too, has it answer, and ends it. */
  start(name: string, what: Ask, databaseUrl?: string): Promise<Turn>;
  /** The same of a function as its sources are: unbundled. */
  startFromSources(name: string, what: Ask, databaseUrl: string): Promise<Turn>;
  /** Loads one package, bundled alone, in a process of its own. */
  load(library: string): Promise<Turn>;
}

function environment(databaseUrl: string | undefined): Record<string, string> {
  return {
    NODE_ENV: "production",
    AUTH_MODE: "none",
    LOG_LEVEL,
    DELIVER_SECONDS: "0",
    ALLOW_INSECURE_DESTINATIONS: "true",
    SECRETS_KEY: Buffer.alloc(32).toString("base64"),
    ...(databaseUrl && { DATABASE_URL: databaseUrl }),
  };
}

async function firstAnswerOf(running: Running, name: string, what: Ask): Promise<Turn> {
  try {
    const { status, body } = await running.ask(what);
    if (status >= 300) throw new Error(`${name} answers ${status}: ${JSON.stringify(body)}`);
    const peak = running.peakBytes();
    const extra = peak === undefined ? {} : { extra: { "peak RSS MB": peak / 2 ** 20 } };
    return { value: running.firstAnswerMs() ?? Number.NaN, ...extra };
  } finally {
    running.kill();
  }
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
  const nextSocket = () => join(folder, `${++started}.sock`);
  return {
    manifest,
    start: (name, what, databaseUrl) =>
      firstAnswerOf(startBuilt(folder, name, nextSocket(), environment(databaseUrl)), name, what),
    startFromSources(name, what, databaseUrl) {
      const env = environment(databaseUrl);
      const source = "functions/main.ts";
      const socketPath = nextSocket();
      return firstAnswerOf(startFunction({ installed: ROOT, cwd: ROOT, name, source, socketPath, env }), name, what);
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
