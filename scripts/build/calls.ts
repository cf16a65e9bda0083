import type pg from "pg";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { casesOf, kitFor, pathOf } from "../../test/support/cases/index.ts";
import type { Answered, Ask } from "./run.ts";

type Service = Parameters<typeof kitFor>[0];

/**
 * Prepares calls that must succeed, those of the contract tests: what they need is made through `ask`, which asks a service
 * that serves every endpoint, and by the owner of its database.
 */
export function callsThrough(
  ask: (what: Ask) => Promise<Answered>,
  owner: pg.Client,
): (endpoint: Endpoint) => Promise<Ask> {
  const json = (method: string) => (path: string, body?: unknown, headers?: Record<string, string>) =>
    ask({ method, path, body: body === undefined ? undefined : JSON.stringify(body), headers });
  const kit = kitFor({
    get: (path: string, headers?: Record<string, string>) => ask({ method: "GET", path, headers }),
    post: json("POST"),
    put: json("PUT"),
    delete: json("DELETE"),
    sql: async (text: string, values?: unknown[]) => (await owner.query(text, values)).rows,
  } as unknown as Service);
  return async (endpoint) => {
    const call = await casesOf(endpoint).success(kit);
    return {
      method: endpoint.method,
      path: pathOf(endpoint, call),
      body: call.body && JSON.stringify(call.body),
      headers: call.headers,
    };
  };
}
