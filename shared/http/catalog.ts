import { databaseRoleOf, type Endpoint } from "./endpoint.ts";
import { roomOf } from "./openapi.ts";

/** Every endpoint as one line of a table, by room: `docs/endpoints.md`. */
export function endpointsTable(endpoints: readonly Endpoint[]): string {
  const rooms = Map.groupBy(endpoints, roomOf);
  const tables = [...rooms].map(([room, members]) => {
    const rows = members.map(
      ({ name, method, path, role, status, errors, summary }) =>
        `| ${name} | ${method} \`${path}\` | ${role} | ${status} | ${summary} | ${errors.map((code) => `\`${code}\``).join(", ")} |`,
    );
    return [
      `## ${room}`,
      "",
      "| function | method, path | role | success | does | problems of its own |",
      "| --- | --- | --- | --- | --- | --- |",
      ...rows,
      "",
    ].join("\n");
  });
  return [
    "# Endpoints",
    "",
    "Derived from `functions/` by `npm run generate`. The shapes are in `openapi.json`.",
    "",
    ...tables,
  ].join("\n");
}

/** Each endpoint as a function to deploy, by name: `terraform/functions.json`. */
export function functionsCatalog(endpoints: readonly Endpoint[]) {
  return Object.fromEntries(
    endpoints.map((endpoint) => {
      const { name, method, path, role, runtime } = endpoint;
      const entry = {
        method,
        path,
        role,
        database_role: databaseRoleOf(endpoint),
        memory_mb: runtime.memoryMb,
        timeout_seconds: runtime.timeoutSeconds,
        concurrency: runtime.concurrency,
        max_instances: runtime.maxInstances,
        ...(runtime.schedule && { schedule: runtime.schedule }),
      };
      return [name, entry];
    }),
  );
}
