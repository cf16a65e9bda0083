import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import { type ProblemCode, problems } from "../../shared/errors.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { cases, casesOf, kitFor, pathOf, perform } from "../support/cases/index.ts";
import { useService } from "../support/service.ts";
import { tablesOf } from "./tables.ts";

const service = useService();
const kit = kitFor(service);

const named = (chosen: readonly Endpoint[]) => chosen.map((endpoint) => [endpoint.name, endpoint] as const);

test("every endpoint has its cases, and no cases are left over", () => {
  expect(Object.keys(cases).toSorted()).toEqual(endpoints.map(({ name }) => name).toSorted());
});

test("every endpoint has a case for each problem of its own, and for no other", () => {
  for (const endpoint of endpoints)
    expect(Object.keys(casesOf(endpoint).errors).toSorted(), endpoint.name).toEqual([...endpoint.errors].toSorted());
});

describe.each(named(endpoints))("%s", (_, endpoint) => {
  const isGet = endpoint.method === "GET";

  test(`${endpoint.status} as declared, with the headers that are declared${isGet ? ", to HEAD too" : ""}`, async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    const { status, headers, body } = await perform(kit, endpoint, call);
    expect(status, JSON.stringify(body)).toBe(endpoint.status);
    expect(headers.get("cache-control")).toBe(endpoint.revalidates ? "private, no-cache" : "no-store");
    expect(headers.get("content-type")).toBe(
      endpoint.returns ? (endpoint.contentType ?? "application/json; charset=utf-8") : null,
    );
    expect(headers.get("etag")).toBe(body?.revision === undefined ? null : `"${body.revision}"`);
    expect(headers.get("idempotent-replayed")).toBeNull();
    if (isGet) {
      const head = await fetch(service.url + pathOf(endpoint, call), { method: "HEAD" });
      expect(head.status).toBe(status);
      for (const name of ["content-type", "etag", "cache-control"])
        expect(head.headers.get(name), name).toBe(headers.get(name));
      // Metrics count this very request, so their length differs.
      if (endpoint.name !== "system-metrics")
        expect(head.headers.get("content-length")).toBe(headers.get("content-length"));
      expect(await head.text()).toBe("");
      expect(await tablesOf(service)).toEqual(before);
    }

    const location = headers.get("location");
    expect(location !== null, "Location").toBe(endpoint.location !== undefined);
    if (location) expect((await service.get(location)).status).toBe(200);
  });

  const errors = Object.entries(casesOf(endpoint).errors) as [ProblemCode, (typeof cases)[string]["success"]][];
  test.each(errors)("%s, changing nothing", async (code, prepare) => {
    const call = await prepare(kit);
    const before = await tablesOf(service);
    const answer = await perform(kit, endpoint, call);
    const { status, title } = problems[code];
    expect(answer).toMatchObject({ status, body: { code, status, title, type: `/problems/${code}` } });
    expect(answer.body.detail).toMatch(/^\S.*\.$/);
    expect(await tablesOf(service)).toEqual(before);
  });
});
