import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./bundle.ts";

interface Locked {
  version: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  peer?: boolean;
}

const FRAMEWORK = "@google-cloud/functions-framework";

const readJson = (path: string) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));
const toJson = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 2)}\n`);

/** The project's package.json. */
export const project = readJson("package.json") as {
  version: string;
  license: string;
  imports: Record<string, string>;
  dependencies: Record<string, string>;
};

const lock = readJson("package-lock.json") as { lockfileVersion: number; packages: Record<string, Locked> };

const NODE = { node: "24.x" };

/**
 * A function's package.json. It has no version: a release changes those functions whose code it changed. `imports` are
 * files of its folder by what the code calls them.
 */
export function packageJson(name: string, imports: Readonly<Record<string, string>>): Uint8Array {
  return toJson({
    name: nameOf(name),
    private: true,
    license: project.license,
    type: "commonjs",
    main: "index.js",
    ...(Object.keys(imports).length > 0 && { imports }),
    engines: NODE,
    dependencies: { [FRAMEWORK]: project.dependencies[FRAMEWORK] },
  });
}

/** Its lock file: of the project's what the framework needs, and nothing of where it came from. */
export function lockFile(name: string): Uint8Array {
  const { lockfileVersion, packages } = lock;
  const found = new Map<string, object>();
  const visit = (path: string) => {
    if (found.has(path)) return;
    // These say what the package is to the project.
    const { dev, devOptional, optional, peer, ...entry } = packages[path] as Locked;
    found.set(path, entry);
    for (const { name, needed } of needsOf(entry)) {
      const at = placeOf(name, path, packages);
      if (at) visit(at);
      else if (needed) throw new Error(`package-lock.json: ${path} needs ${name}, which is not locked`);
    }
  };
  visit(`node_modules/${FRAMEWORK}`);
  const dependencies = { [FRAMEWORK]: project.dependencies[FRAMEWORK] };
  const root = { name: nameOf(name), license: project.license, dependencies, engines: NODE };
  return toJson({
    name: nameOf(name),
    lockfileVersion,
    requires: true,
    packages: { "": root, ...Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1))) },
  });
}

function nameOf(name: string): string {
  return name === "cams" ? name : `cams-${name}`;
}

function needsOf({ dependencies = {}, optionalDependencies = {}, ...peers }: Omit<Locked, "dev">) {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = peers;
  return [
    ...Object.keys(dependencies).map((name) => ({ name, needed: !(name in optionalDependencies) })),
    ...Object.keys(optionalDependencies).map((name) => ({ name, needed: false })),
    ...Object.keys(peerDependencies)
      .filter((name) => !peerDependenciesMeta[name]?.optional)
      .map((name) => ({ name, needed: true })),
  ];
}

/** Where Node finds a package from another's folder: in the nearest node_modules upwards. */
function placeOf(name: string, from: string, packages: Record<string, unknown>): string | undefined {
  for (let folder = from; ; ) {
    const path = `${folder ? `${folder}/` : ""}node_modules/${name}`;
    if (path in packages) return path;
    if (folder === "") return undefined;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules/") - 1));
  }
}

/** The package that a source file belongs to: its folder, relative to the project; undefined for our own. */
export function packageOf(input: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

/** The licences of the packages in these folders, by the packages' names; a text that many have stands there once. */
export function licences(folders: Iterable<string>): Uint8Array {
  const names = new Map<string, Set<string>>();
  for (const { name, text } of [...folders].map(licenceOf)) names.set(text, (names.get(text) ?? new Set()).add(name));
  const parts = [...names].map(([text, those]) => `${[...those].toSorted().join("\n")}\n\n${text}\n`);
  return Buffer.from(parts.toSorted().join(`\n${"-".repeat(80)}\n\n`));
}

const known = new Map<string, { name: string; text: string }>();

function licenceOf(folder: string): { name: string; text: string } {
  const read = known.get(folder) ?? readLicence(folder);
  known.set(folder, read);
  return read;
}

function readLicence(folder: string): { name: string; text: string } {
  const { name, version, license } = readJson(join(folder, "package.json"));
  const files = readdirSync(join(ROOT, folder)).filter((file) => /^(licen[cs]e|copying|notice)(\.|-|$)/i.test(file));
  const texts = files.toSorted().map((file) => readFileSync(join(ROOT, folder, file), "utf8").trim());
  return { name: `${name} ${version} (${license})`, text: texts.join("\n\n") };
}
