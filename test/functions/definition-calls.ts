import type { Service } from "../support/service.ts";

/** Calls about definitions, in short. */
export function definitionCalls(service: Service) {
  const at = (id: unknown, rest = "") => `/v1/definitions/${id}${rest}`;
  return {
    at,
    get: (id: unknown, query = "") => service.get(at(id, query)),
    patch: (id: unknown, body: unknown, query = "", headers: Record<string, string> = {}) =>
      service.raw("PATCH", at(id, query), JSON.stringify(body), {
        "content-type": "application/merge-patch+json",
        ...headers,
      }),
    /** `decide("echo", "1.0.0", "publish")` */
    decide: (id: unknown, version: string, verb: string, body: object = {}, query = "") =>
      service.post(at(id, `/versions/${version}/${verb}${query}`), body),
    /** Each version as `1.0.0 PUBLISHED current`, the highest first. */
    async placesOf(id: unknown): Promise<string[]> {
      type Item = { version: string; status: string; current: boolean };
      const { items } = (await service.get(at(id, "/versions"))).body;
      return items.map(({ version, status, current }: Item) => `${version} ${status}${current ? " current" : ""}`);
    },
    /** Imports YAML, or documents as JSON, which is YAML too. */
    import: (text: string | object[], query = "", headers: Record<string, string> = {}) =>
      service.raw(
        "POST",
        `/v1/definitions/import${query}`,
        typeof text === "string" ? text : text.map((one) => JSON.stringify(one)).join("\n---\n"),
        { "content-type": "application/yaml", ...headers },
      ),
  };
}
