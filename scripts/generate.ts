import { readFileSync, writeFileSync } from "node:fs";
import { endpoints, rooms } from "../functions/index.ts";
import { configurationTable, exampleEnvironment } from "../shared/configuration.ts";
import { endpointsTable, functionsCatalog } from "../shared/http/catalog.ts";
import { openapiOf } from "../shared/http/openapi.ts";
import { writeSchema } from "./schema.ts";

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

const stale = Object.keys(derived).filter((path) => read(path) !== derived[path]);
if (process.argv.includes("--check")) {
  for (const path of stale) console.error(`${path} is stale: run npm run generate`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const path of stale) writeFileSync(new URL(path, root), derived[path] as string);
  // The picture of the schema needs a database: a throw-away one, migrated from empty.
  await writeSchema();
  console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing was stale");
}

function read(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, root), "utf8");
  } catch {
    return undefined;
  }
}
