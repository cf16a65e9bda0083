import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { endpoints, rooms } from "../functions/index.ts";
import { configurationTable, exampleEnvironment } from "../shared/configuration.ts";
import { endpointsTable, functionsCatalog } from "../shared/http/catalog.ts";
import { openapiOf } from "../shared/http/openapi.ts";

const root = new URL("..", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** Name and SHA-256 of each migration, oldest first. */
function checksums(): Record<string, string> {
  const files = globSync("migrations/[0-9]*.sql", { cwd: root }).sort();
  return Object.fromEntries(
    files.map((file) => [
      basename(file, ".sql"),
      createHash("sha256")
        .update(readFileSync(new URL(file.replaceAll("\\", "/"), root)))
        .digest("hex"),
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
};

const check = process.argv.includes("--check");
// The picture of the schema needs a database, a throw-away one; when all is only checked, a test does it.
const stale = Object.keys(derived).filter((path) => read(path) !== derived[path]);
if (check) for (const path of stale) console.error(`${path} is stale: run npm run generate`);
else for (const path of stale) writeFileSync(new URL(path, root), derived[path] as string);
if (!check) {
  // A process of its own: it migrates by the checksums just written, and this one may have loaded the old ones.
  const draw = 'import { schemaPicture } from "./scripts/schema.ts"; process.stdout.write(await schemaPicture());';
  const path = "migrations/schema.sql";
  const picture = execFileSync(process.execPath, ["--input-type=module", "-e", draw], { cwd: root, encoding: "utf8" });
  if (read(path) !== picture) stale.push(path);
  writeFileSync(new URL(path, root), picture);
}
if (!check) console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing was stale");
process.exitCode = check && stale.length > 0 ? 1 : 0;

function read(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, root), "utf8");
  } catch {
    return undefined;
  }
}
