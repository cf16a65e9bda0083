import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";

/** A function's JavaScript as it is deployed, and what went into it. */
export interface Bundle {
  /** By path in the function's folder. */
  files: ReadonlyMap<string, Uint8Array>;
  /** Bytes that each source file, relative to the project, has in `index.js`: what a start evaluates. */
  inputs: ReadonlyMap<string, number>;
  /** What is loaded only when it is needed, by the name it is imported with: the source files of each. */
  libraries: ReadonlyMap<string, readonly string[]>;
}

/** What esbuild makes of one entry. */
export interface Output {
  code: Uint8Array;
  map: Uint8Array | undefined;
  inputs: ReadonlyMap<string, number>;
  /** What it requires when it is needed. */
  libraries: readonly string[];
}

/** The project's folder. */
export const ROOT = join(import.meta.dirname, "../..");

/**
 * CommonJS loads in 88 ms what takes 124 as ES modules: an ES module that imports `node:http` has Node make all that it
 * could give, `fetch` included. Names and lines are kept: minified it starts no sooner, and no stack can be read.
 */
const COMMON = {
  absWorkingDir: ROOT,
  outdir: ROOT,
  bundle: true,
  write: false,
  metafile: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  // A linked node_modules would bring the path of another folder into comments and source maps.
  preserveSymlinks: true,
  external: ["@google-cloud/functions-framework", "pg-native"],
  define: { "process.env.NODE_ENV": '"production"' },
  // Of a tsconfig.json it finds, or does not, esbuild takes whether to keep "use strict".
  tsconfigRaw: { compilerOptions: { strict: true, verbatimModuleSyntax: true } },
  legalComments: "none",
  logLevel: "silent",
} as const satisfies BuildOptions;

/** Modules find what they read by where they lie: here as there two folders below what they ask for. */
const LOCATION = {
  banner: {
    js: [
      'const moduleFolder = require("node:path").join(__dirname, "shared", "room");',
      'const moduleUrl = require("node:url").pathToFileURL(moduleFolder + "/module.js").href;',
    ].join("\n"),
  },
  define: { ...COMMON.define, "import.meta.dirname": "moduleFolder", "import.meta.url": "moduleUrl" },
};

const LIBRARIES = "./lib/";
/** What is imported from a package when it is needed is a file of its own, required then. */
const libraries: Plugin = {
  name: "libraries",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path: `${LIBRARIES}${path}.js`, external: true } : undefined,
    );
  },
};

/** The source map is of our own lines; of a package's code it tells the file: the lines would make it five times as big. */
const filesOnly: Plugin = {
  name: "files-only",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]node_modules[\\/].*\.[cm]?js$/ }, async ({ path }) => {
      const map = Buffer.from(JSON.stringify({ version: 3, sources: [basename(path)], mappings: "AAAA" }));
      const link = `//# sourceMappingURL=data:application/json;base64,${map.toString("base64")}`;
      return { contents: `${await readFile(path, "utf8")}\n${link}` };
    });
  },
};

/** Bundles functions, given by the endpoints that each serves. */
export async function bundle(
  functions: Readonly<Record<string, readonly string[]>>,
): Promise<ReadonlyMap<string, Bundle>> {
  const entries = Object.entries(functions).map(([name, endpoints]) => [name, entryOf(name, endpoints)] as const);
  const bundles = await run(new Map(entries), {
    ...LOCATION,
    sourcemap: "external",
    sourcesContent: false,
    // Else Node's own import() loads libraries, which cannot tell what bundled CommonJS exports.
    supported: { "dynamic-import": false },
    plugins: [libraries, filesOnly],
  });
  const names = new Set([...bundles.values()].flatMap(({ libraries }) => libraries));
  const made = await bundleLibraries([...names]);
  return new Map([...bundles].map(([name, output]) => [name, withLibraries(output, made)]));
}

/** Bundles what is imported by each of these names alone. */
export async function bundleLibraries(names: readonly string[]): Promise<ReadonlyMap<string, Output>> {
  return run(new Map(names.map((name) => [name, `export * from ${JSON.stringify(name)};`])), {});
}

function withLibraries({ code, map, inputs, libraries }: Output, made: ReadonlyMap<string, Output>): Bundle {
  const used = libraries.map((name) => [name, made.get(name) as Output] as const);
  return {
    files: new Map([
      ["index.js", Buffer.concat([code, Buffer.from("//# sourceMappingURL=index.js.map\n")])],
      ["index.js.map", map as Uint8Array],
      ...used.map(([name, { code }]) => [`${LIBRARIES.slice(2)}${name}.js`, code] as const),
    ]),
    inputs,
    libraries: new Map(used.map(([name, { inputs }]) => [name, [...inputs.keys()]])),
  };
}

/** Bundles each source by its name; what they share is read once. */
async function run(
  sources: ReadonlyMap<string, string>,
  options: Pick<BuildOptions, "banner" | "define" | "sourcemap" | "sourcesContent" | "supported" | "plugins">,
): Promise<ReadonlyMap<string, Output>> {
  const names = [...sources.keys()];
  const given: Plugin = {
    name: "given",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^/ }, ({ kind, path }) =>
        kind === "entry-point" ? { path, namespace: "entry" } : undefined,
      );
      onLoad(
        { filter: /^/, namespace: "entry" },
        ({ path }) => ({ contents: sources.get(path), resolveDir: ROOT }) as object,
      );
    },
  };
  const { metafile, outputFiles } = await build({
    ...COMMON,
    ...options,
    entryPoints: names.map((name, n) => ({ in: name, out: `${n}` })),
    plugins: [given, ...(options.plugins ?? [])],
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  return new Map(
    names.map((name, n) => {
      const { inputs = {}, imports = [] } = metafile.outputs[`${n}.js`] ?? {};
      const paths = [...new Set(imports.map(({ path }) => path))].filter((path) => path.startsWith(LIBRARIES));
      const output = {
        code: files.get(`${n}.js`) as Uint8Array,
        map: files.get(`${n}.js.map`),
        inputs: new Map(Object.entries(inputs).map(([path, { bytesInOutput }]) => [path, bytesInOutput])),
        libraries: paths.map((path) => path.slice(LIBRARIES.length, -".js".length)).toSorted(),
      };
      return [name, output];
    }),
  );
}

function entryOf(name: string, endpoints: readonly string[]): string {
  const files = endpoints.map((endpoint) => `./functions/${endpoint.replace("-", "/")}.ts`);
  return [
    'import { host } from "./functions/host.ts";',
    ...files.map((file, n) => `import * as e${n} from ${JSON.stringify(file)};`),
    `host({ ${JSON.stringify(name)}: [${files.map((_, n) => `e${n}`).join(", ")}].flatMap(Object.values) });`,
  ].join("\n");
}
