import { readFileSync, writeFileSync } from "node:fs";
import { endpoints, rooms } from "../functions/index.ts";
import { configurationTable, exampleEnvironment } from "../shared/configuration.ts";
import { endpointsTable, functionsCatalog } from "../shared/http/catalog.ts";
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
};

const check = process.argv.includes("--check");
// The picture of the schema needs a database, a throw-away one; when all is only checked, a test does it.
if (!check) derived["migrations/schema.sql"] = await schemaPicture();

const stale = Object.keys(derived).filter((path) => read(path) !== derived[path]);
if (check) for (const path of stale) console.error(`${path} is stale: run npm run generate`);
else for (const path of stale) writeFileSync(new URL(path, root), derived[path] as string);
if (!check) console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing was stale");
process.exitCode = check && stale.length > 0 ? 1 : 0;

function read(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, root), "utf8");
  } catch {
    return undefined;
  }
}
