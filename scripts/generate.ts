import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { endpoints, rooms } from "../functions/index.ts";
import { configurationTable, exampleEnvironment } from "../shared/configuration.ts";
import { endpointsTable, functionsCatalog } from "../shared/http/catalog.ts";
import { gatewayOf } from "../shared/http/gateway.ts";
import { openapiOf } from "../shared/http/openapi.ts";

const root = new URL("..", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** Name and SHA-256 of each migration, oldest first. */
function checksums(): Record<string, string> {
  const files = globSync("migrations/[0-9]*.sql", { cwd: root }).toSorted();
  return Object.fromEntries(
    files.map((file) => [
      basename(file, ".sql"),
      hash("sha256", readFileSync(new URL(file.replaceAll("\\", "/"), root))),
    ]),
  );
}

/** Every derived file and its content. */
const derived: Record<string, string> = {
  "docs/openapi.json": json(openapiOf(endpoints, version, rooms)),
  "docs/endpoints.md": endpointsTable(endpoints),
  "docs/configuration.md": configurationTable(),
  ".env.example": exampleEnvironment(),
  "terraform/functions.json": json(functionsCatalog(endpoints)),
  "migrations/checksums.json": json(checksums()),
  "terraform/gateway.json": json(gatewayOf(endpoints, version)),
  "terraform/tests/built/manifest.json": json(builtForTests([...endpoints.map(({ name }) => name), "cams"])),
};

const check = process.argv.includes("--check");
const stale = Object.keys(derived).filter((path) => read(path) !== derived[path]);
if (check) {
  for (const path of stale) console.error(`${path} is stale: run npm run generate`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const path of stale) write(path, derived[path] as string);
  // It needs a database, a throw-away one; when all is only checked, a test does it.
  const picture = schemaPicture();
  const path = "migrations/schema.sql";
  if (read(path) !== picture) stale.push(path);
  write(path, picture);
  console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing was stale");
}

/** By a process of its own: it migrates by the checksums just written, and this one has loaded the old ones. */
function schemaPicture(): string {
  const draw = 'import { schemaPicture } from "./scripts/schema.ts"; process.stdout.write(await schemaPicture());';
  return execFileSync(process.execPath, ["--input-type=module", "-e", draw], { cwd: root, encoding: "utf8" });
}

function write(path: string, text: string): void {
  writeFileSync(new URL(path, root), text);
}

/** What `npm run build` would write, for Terraform's tests: which functions there are, with hashes that stay. */
function builtForTests(names: readonly string[]) {
  const functions = Object.fromEntries(
    names.map((name) => [name, { zip: `functions/${name}.zip`, sha256: hash("sha256", name) }]),
  );
  return { version: "0.0.0", migrations: hash("sha256", "migrations"), functions };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, root), "utf8");
  } catch {
    return undefined;
  }
}
