import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { endpoints } from "../../functions/index.ts";
import checksums from "../../migrations/checksums.json" with { type: "json" };
import { type Bundle, bundle, ROOT } from "./bundle.ts";
import { licences, lockFile, packageJson, packageOf, project } from "./package.ts";
import { createPacker } from "./zip.ts";

/** `manifest.json`: what there is to deploy. */
export interface Manifest {
  version: string;
  /** SHA-256 over the names and bytes of the migrations: when it changes, `system-migrate` is to be called. */
  migrations: string;
  /** By name; `sha256` and `bytes` are those of the zip, `bundleBytes` of what a start evaluates. */
  functions: Record<string, { zip: string; sha256: string; bytes: number; bundleBytes: number }>;
}

/** What was built: the manifest, and by function what its code was made of. */
export interface Built {
  manifest: Manifest;
  bundles: ReadonlyMap<string, Bundle>;
}

/** What our code reads from disk at run time, by the module that reads it. */
const READ: Record<string, { imports: Record<string, string>; files: () => [path: string, from: string][] }> = {
  "shared/http/docs.ts": {
    imports: { "#redoc": "./redoc.standalone.js" },
    files: () =>
      ["redoc.standalone.js", "redoc.standalone.js.LICENSE.txt"].map((file) => [
        file,
        `node_modules/redoc/bundles/${file}`,
      ]),
  },
  "shared/db/migrate.ts": {
    imports: {},
    files: () => migrations().map((path) => [path, path]),
  },
};

/** The modules that read files which a bundle has to bring along. */
export const readers: readonly string[] = Object.keys(READ);

const endpointNames = endpoints.map(({ name }) => name);

/** Every function to deploy: each endpoint, and `cams`, which serves them. */
export const functionNames: readonly string[] = [...endpointNames, "cams"].toSorted();

/** Who answers the internet never has the migrator's rights. */
const endpointsOf = (name: string) =>
  name === "cams" ? endpointNames.filter((endpoint) => endpoint !== "system-migrate") : [name];

/**
 * Builds functions into a folder, in the place of whatever is there.
 * @throws Error when there is none of a name
 */
export async function buildFunctions(folder: string, names = functionNames): Promise<Built> {
  const unknown = names.filter((name) => !functionNames.includes(name));
  if (unknown.length > 0)
    throw new Error(`no such function: ${unknown.join(", ")}. There are: ${functionNames.join(", ")}`);
  const bundles = await bundle(Object.fromEntries(names.map((name) => [name, endpointsOf(name)])));
  const pack = createPacker();
  rmSync(folder, { recursive: true, force: true });
  const functions: Manifest["functions"] = {};
  for (const name of [...bundles.keys()].toSorted()) {
    const made = bundles.get(name) as Bundle;
    const files = filesOf(name, made);
    for (const [path, content] of files) write(join(folder, "functions", name, path), content);
    const zip = pack(files);
    const path = `functions/${name}.zip`;
    write(join(folder, path), zip);
    const bundleBytes = made.files.get("index.js")?.length ?? 0;
    functions[name] = { zip: path, sha256: sha256(zip), bytes: zip.length, bundleBytes };
  }
  const manifest = { version: project.version, migrations: migrationsHash(), functions };
  write(join(folder, "manifest.json"), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  return { manifest, bundles };
}

/** Everything in a function's folder, by path. */
function filesOf(name: string, { files, inputs, libraries }: Bundle): Map<string, Uint8Array> {
  const read = readers.filter((reader) => inputs.has(reader)).flatMap((reader) => READ[reader] ?? []);
  const copied = read.flatMap(({ files }) => files());
  const sources = [...inputs.keys(), ...[...libraries.values()].flat(), ...copied.map(([, from]) => from)];
  const imports = Object.assign({}, ...read.map(({ imports }) => imports));
  return new Map([
    ...files,
    ...copied.map(([path, from]) => [path, readFileSync(join(ROOT, from))] as const),
    ["package.json", packageJson(name, imports)],
    ["package-lock.json", lockFile(name)],
    ["LICENSES.txt", licences(new Set(sources.flatMap((source) => packageOf(source) ?? [])))],
  ]);
}

function migrations(): string[] {
  return Object.keys(checksums).map((name) => `migrations/${name}.sql`);
}

function migrationsHash(): string {
  const hash = createHash("sha256");
  for (const path of migrations()) {
    const content = readFileSync(join(ROOT, path));
    hash.update(`${path} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function write(path: string, content: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
