import type { DatabaseRole } from "../rules/access.ts";
import type { CloudRight } from "../services/service.ts";
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

/**
 * The accounts that functions run as. One stands for a database role; another of the same role is for those that may do
 * something in the cloud too. Who has no statements is no user of the database.
 */
const ACCOUNTS: { name: string; databaseRole?: DatabaseRole; rights: readonly CloudRight[] }[] = [
  { name: "public", rights: [] },
  { name: "reader", databaseRole: "cams_reader", rights: [] },
  { name: "agent", databaseRole: "cams_agent", rights: [] },
  { name: "registry", databaseRole: "cams_agent", rights: ["secrets"] },
  { name: "operator", databaseRole: "cams_operator", rights: [] },
  { name: "system", databaseRole: "cams_system", rights: [] },
  { name: "delivery", databaseRole: "cams_system", rights: ["pubsub", "secrets"] },
  { name: "migrator", databaseRole: "cams_migrator", rights: [] },
];

/** What an endpoint may do in the cloud beside its database. */
export function rightsOf({ needs = {} }: Pick<Endpoint, "needs">): CloudRight[] {
  return [...new Set(Object.values(needs).flatMap(({ rights }) => rights))].toSorted();
}

/** The account an endpoint runs as: the first of its database role that has the rights it needs. */
function accountOf(endpoint: Endpoint): string {
  const needed = rightsOf(endpoint);
  const account = ACCOUNTS.find(
    ({ databaseRole, rights }) =>
      databaseRole === databaseRoleOf(endpoint) && needed.every((right) => rights.includes(right)),
  );
  if (!account) throw new Error(`no account has what ${endpoint.name} needs: ${needed.join(", ")}`);
  return account.name;
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
        account: accountOf(endpoint),
        database_role: databaseRoleOf(endpoint) ?? null,
        rights: rightsOf(endpoint),
        memory_mb: runtime.memoryMb,
        timeout_seconds: runtime.timeoutSeconds,
        concurrency: runtime.concurrency,
        max_instances: runtime.maxInstances,
        pool_size: runtime.poolSize,
        listens: runtime.listens,
        ...(runtime.schedule && { schedule: runtime.schedule }),
      };
      return [name, entry];
    }),
  );
}
