import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { type Call, casesOf, kitFor, pathOf, perform } from "../support/cases/index.ts";
import { useService } from "../support/service.ts";
import { tablesOf } from "./tables.ts";

const service = useService();
const kit = kitFor(service);

const guarded = endpoints.filter(({ errors }) => errors.includes("revision_mismatch"));

/** The ETag of what the call is about: what GET says at its path, or at a path above it. */
async function etagOf(endpoint: Endpoint, call: Call): Promise<string> {
  const version = call.params?.version && `?version=${call.params.version}`;
  for (
    let path = pathOf(endpoint, { ...call, query: {} }).replace("?", "");
    path !== "";
    path = path.slice(0, path.lastIndexOf("/"))
  ) {
    const etag = (await service.get(path + (version ?? ""))).headers.get("etag");
    if (etag) return etag;
  }
  throw new Error(`${endpoint.name}: nothing at its path has an ETag`);
}

describe.each(guarded.map((endpoint) => [endpoint.name, endpoint] as const))("%s", (_, endpoint) => {
  const wrong: Record<string, (etag: string) => string> = {
    "another revision": () => '"999"',
    weak: (etag) => `W/${etag}`,
    "without quotes": (etag) => etag.replaceAll('"', ""),
    garbage: () => "');--",
    empty: () => "",
    "a number that no revision is": () => '"99999999999999999999"',
    negative: () => '"-1"',
    "a list without its ETag": () => '"998", "999"',
  };

  test.each<[string, (etag: string) => string]>([
    ["a list that has its ETag", (etag) => `"7", ${etag} ,"x"`],
    ["*", () => "*"],
  ])("412 and nothing changed to each wrong If-Match, then success to %s", async (_, right) => {
    const call = await casesOf(endpoint).success(kit);
    const etag = await etagOf(endpoint, call);
    const before = await tablesOf(service);
    for (const [name, header] of Object.entries(wrong)) {
      const answer = await perform(kit, endpoint, call, { "if-match": header(etag) });
      expect(answer, name).toMatchObject({ status: 412, body: { code: "revision_mismatch" } });
    }
    expect(await tablesOf(service)).toEqual(before);
    const answer = await perform(kit, endpoint, call, { "if-match": right(etag) });
    expect(answer.status, JSON.stringify(answer.body)).toBe(endpoint.status);
    expect(await tablesOf(service)).not.toEqual(before);
  });

  test("one success and 9 × 412 or 404 when 10 at once name the same revision", async () => {
    const call = await casesOf(endpoint).success(kit);
    const headers = { "if-match": await etagOf(endpoint, call) };
    const answers = await Promise.all(Array.from({ length: 10 }, () => perform(kit, endpoint, call, headers)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === endpoint.status)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412 || status === 404)).toHaveLength(9);
  });
});
