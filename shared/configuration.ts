import * as z from "zod";
import { environment } from "./config.ts";

interface Key {
  name: string;
  description: string;
  fallback: string;
  values: string;
}

function keys(): Key[] {
  return Object.entries(environment.shape).map(([name, schema]) => {
    const type = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    return {
      name,
      description: schema.description ?? "",
      fallback: type.default === undefined ? "" : String(type.default),
      values: type.enum?.map((value) => `\`${value}\``).join(", ") ?? "",
    };
  });
}

/** Every environment variable as a table: `docs/configuration.md`. */
export function configurationTable(): string {
  return [
    "# Configuration",
    "",
    "Environment variables of the service. Derived from `shared/config.ts` by `npm run generate`.",
    "`npm start` reads three more: `PORT` (default 8080), `CAMS_DATA_DIR` (default `.data`) and `CAMS_DEFINITIONS` (default",
    "`examples/definitions`; empty: none), the folder of definitions that it [loads](definitions.md#a-folder-of-them).",
    "",
    "| variable | default | values | meaning |",
    "| --- | --- | --- | --- |",
    ...keys().map(
      ({ name, fallback, values, description }) =>
        `| \`${name}\` | ${fallback && `\`${fallback}\``} | ${values} | ${description} |`,
    ),
    "",
  ].join("\n");
}

/** Every environment variable as a commented line: `.env.example`. */
export function exampleEnvironment(): string {
  return keys()
    .map(({ name, fallback, description }) => `# ${description}\n# ${name}=${fallback}\n`)
    .join("\n");
}
