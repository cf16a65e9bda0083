import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

/** Who may import whom: the first pattern that fits a file says what it may import of the project and beyond. */
const arrows: { from: RegExp; project: RegExp; packages: RegExp }[] = [
  { from: /^functions\/(main|host|compose)\.ts$/, project: /./, packages: /./ },
  { from: /^functions\/(\w+\/)?index\.ts$/, project: /^functions\/|^shared\/http\/endpoint\.ts$/, packages: /^$/ },
  {
    from: /^functions\/\w+\/[\w-]+\.ts$/,
    project:
      /^shared\/(http|rules|schemas)\/|^shared\/services\/(?!service\.ts)|^shared\/errors\.ts$|^docs\/openapi\.json$/,
    packages: /^zod$/,
  },
  {
    from: /^shared\/http\//,
    project:
      /^shared\/(http|auth|rules|schemas|logging|metrics|repository)\/|^shared\/(errors|config|json|db\/hints|services\/service)\.ts$/,
    packages: /^(node:|zod$|zod-openapi$)/,
  },
  {
    from: /^shared\/auth\//,
    project: /^shared\/(auth|rules|schemas)\/|^shared\/(errors|config)\.ts$/,
    packages: /^(node:(crypto|http)|jose(\/[\w/]+)?|lru-cache|rate-limiter-flexible(\/lib\/RateLimiterMemory\.js)?)$/,
  },
  {
    from: /^shared\/repository\//,
    project: /^shared\/(repository|db|rules|schemas)\/|^shared\/(errors|json)\.ts$|^migrations\/checksums\.json$/,
    packages: /^(node:crypto|zod)$/,
  },
  {
    from: /^shared\/outbound\//,
    project: /^shared\/(outbound|schemas|rules|logging)\/|^shared\/(errors|json)\.ts$/,
    packages: /^(node:|zod$|google-auth-library$)/,
  },
  // Of node:net only what judges addresses: rules connect to nothing.
  {
    from: /^shared\/rules\//,
    project: /^shared\/(rules|schemas)\/|^shared\/(errors|json)\.ts$/,
    packages: /^(zod|node:(net|crypto|util)|yaml|canonicalize|croner|semver\/.+)$/,
  },
  {
    from: /^shared\/delivery\//,
    project:
      /^shared\/(delivery|outbound|rules|schemas|logging|metrics|repository)\/|^shared\/errors\.ts$|^shared\/db\/hints\.ts$/,
    packages: /^node:(crypto|timers\/promises)$/,
  },
  {
    from: /^shared\/services\//,
    project: /^shared\/(services|delivery|outbound|db|rules|repository|logging|metrics)\/|^shared\/config\.ts$/,
    packages: /^(node:(crypto|timers\/promises)|pg)$/,
  },
  { from: /^shared\/schemas\//, project: /^shared\/schemas\//, packages: /^zod$/ },
  {
    from: /^shared\/db\//,
    project:
      /^shared\/(db|logging|metrics)\/|^shared\/(errors|config|json)\.ts$|^shared\/rules\/access\.ts$|^migrations\/checksums\.json$/,
    packages: /^(node:|pg$|zod$|node-pg-migrate$|@google-cloud\/cloud-sql-connector$)/,
  },
  { from: /^shared\/(logging|metrics)\//, project: /^shared\/(logging|metrics)\//, packages: /./ },
  { from: /^shared\/(errors|json)\.ts$/, project: /^$/, packages: /^$/ },
  { from: /^shared\/config(uration)?\.ts$/, project: /^shared\/(config|rules\/access)\.ts$/, packages: /^zod$/ },
];

const files = globSync("{functions,shared}/**/*.ts").map((file) => file.replaceAll("\\", "/"));

interface Import {
  file: string;
  target: string;
  inProject: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)"([^"]+)"/gm)].map(
    ([, target = ""]) => target,
  );
  return found.map((target) =>
    target.startsWith(".")
      ? { file, target: join(dirname(file), target).replaceAll("\\", "/"), inProject: true }
      : { file, target, inProject: false },
  );
}

const imports = files.flatMap(importsOf);

test("every file is read, and its imports are found", () => {
  expect(files.length).toBeGreaterThan(60);
  const without = files.filter((file) => !/\bimport\b/.test(readFileSync(file, "utf8")));
  expect(new Set(imports.map(({ file }) => file)).size).toBe(files.length - without.length);
});

test("no import goes against the arrows", () => {
  const wrong = imports.filter(({ file, target, inProject }) => {
    const rule = arrows.find(({ from }) => from.test(file));
    return !rule || !(inProject ? rule.project : rule.packages).test(target);
  });
  expect(wrong.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
});

test("no file imports itself over others", () => {
  const byFile = Map.groupBy(imports.filter(isValueImport), ({ file }) => file);
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const { target } of byFile.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  expect(files.flatMap((file) => visit(file, []))).toEqual([]);
});

/** Types are erased: a type-only import back to the room's contents is no cycle at run time. */
function isValueImport({ file, target, inProject }: Import): boolean {
  if (!inProject) return false;
  const text = readFileSync(file, "utf8");
  const name = target.split("/").at(-1)?.replaceAll(".", "\\.");
  return !new RegExp(`import type [^;]*/${name}"`).test(text);
}

test("only the configuration reads the environment", () => {
  const readers = files.filter((file) => readFileSync(file, "utf8").includes("process.env"));
  expect(readers).toEqual(["shared/config.ts"]);
});

test("every endpoint's file is where its name says", async () => {
  const { endpoints } = await import("../functions/index.ts");
  const declared = globSync("functions/*/*.ts").filter((file) => !file.endsWith("index.ts"));
  const named = endpoints.map(({ name }) => `functions/${name.replace("-", "/")}.ts`);
  expect(named.toSorted()).toEqual(declared.map((file) => file.replaceAll("\\", "/")).toSorted());
});

test("every path parameter is declared, and nothing else is", async () => {
  const { endpoints } = await import("../functions/index.ts");
  for (const { name, path, params } of endpoints) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    expect(Object.keys((params as { shape?: object } | undefined)?.shape ?? {}), name).toEqual(inPath);
  }
});

test("no file is longer than 250 lines", () => {
  const long = globSync("{functions,shared,scripts,bench,examples}/**/*.ts").filter(
    (file) => readFileSync(file, "utf8").split("\n").length > 251,
  );
  expect(long).toEqual([]);
});
