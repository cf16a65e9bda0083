import { hash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { endpoints, rooms } from "../functions/index.ts";
import { configurationTable, exampleEnvironment } from "../shared/configuration.ts";
import { endpointsTable, functionsCatalog } from "../shared/http/catalog.ts";
import { gatewayOf } from "../shared/http/gateway.ts";
import { openapiOf } from "../shared/http/openapi.ts";
import { schemaPicture } from "./schema.ts";

const root = new URL("..", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** Every derived file and its content. */
const derived: Record<string, string> = {
  "docs/openapi.json": json(openapiOf(endpoints, version, rooms)),
  "docs/endpoints.md": endpointsTable(endpoints),
  "docs/configuration.md": configurationTable(),
  ".env.example": exampleEnvironment(),
  "terraform/functions.json": json(functionsCatalog(endpoints)),
  "terraform/gateway.json": json(gatewayOf(endpoints, version)),
  "terraform/tests/built/manifest.json": json(builtForTests([...endpoints.map(({ name }) => name), "cams"])),
};

const check = process.argv.includes("--check");
// The picture of the schema needs a database, a throw-away one; when all is only checked, a test does it.
if (!check) derived["migrations/schema.sql"] = await schemaPicture();

const stale = Object.keys(derived).filter((path) => read(path) !== derived[path]);
if (check) for (const path of stale) console.error(`${path} is stale: run npm run generate`);
else for (const path of stale) writeFileSync(new URL(path, root), derived[path] as string);
if (!check) console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing was stale");
process.exitCode = check && stale.length > 0 ? 1 : 0;

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
