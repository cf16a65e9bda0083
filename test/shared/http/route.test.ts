import { expect, test } from "vitest";
import { endpoints } from "../../../functions/index.ts";
import { defineEndpoint, type Endpoint } from "../../../shared/http/endpoint.ts";
import { createRouter } from "../../../shared/http/route.ts";

const endpoint = (method: Endpoint["method"], path: string) =>
  defineEndpoint({
    name: `${method} ${path}`,
    method,
    path,
    summary: "",
    role: "public",
    status: 204,
    errors: [],
    handler: async () => {},
  });

const route = createRouter([
  endpoint("GET", "/"),
  endpoint("GET", "/things"),
  endpoint("POST", "/things"),
  endpoint("GET", "/things/count"),
  endpoint("GET", "/things/{thing}"),
  endpoint("PUT", "/things/{thing}"),
  endpoint("DELETE", "/things/{thing}"),
  endpoint("POST", "/things/{thing}/parts/{part}"),
  endpoint("POST", "/things/count/parts/all/now"),
  endpoint("GET", "/things/{thing}/parts"),
]);

test.each<[string, string, string, Record<string, string>]>([
  ["GET", "/", "GET /", {}],
  ["GET", "/things", "GET /things", {}],
  ["HEAD", "/things", "GET /things", {}],
  ["POST", "/things", "POST /things", {}],
  ["GET", "/things/count", "GET /things/count", {}],
  ["GET", "/things/counts", "GET /things/{thing}", { thing: "counts" }],
  ["PUT", "/things/a@b.c", "PUT /things/{thing}", { thing: "a@b.c" }],
  ["GET", "/things/a%40b", "GET /things/{thing}", { thing: "a@b" }],
  ["GET", "/things/a%2Fb", "GET /things/{thing}", { thing: "a/b" }],
  ["GET", "/things/a%252Fb", "GET /things/{thing}", { thing: "a%2Fb" }],
  ["GET", "/things/%E2%82%AC", "GET /things/{thing}", { thing: "€" }],
  ["GET", "/things/a+b", "GET /things/{thing}", { thing: "a+b" }],
  ["GET", "/things/%00", "GET /things/{thing}", { thing: "\0" }],
  ["GET", "/things/..", "GET /things/{thing}", { thing: ".." }],
  ["GET", "/things/__proto__", "GET /things/{thing}", { thing: "__proto__" }],
  ["GET", "/things/{thing}", "GET /things/{thing}", { thing: "{thing}" }],
  // The literal leads nowhere, so the parameter is tried.
  ["GET", "/things/count/parts", "GET /things/{thing}/parts", { thing: "count" }],
  ["POST", "/things/count/parts/all", "POST /things/{thing}/parts/{part}", { thing: "count", part: "all" }],
  ["POST", "/things/count/parts/all/now", "POST /things/count/parts/all/now", {}],
  ["POST", "/things/x/parts/y", "POST /things/{thing}/parts/{part}", { thing: "x", part: "y" }],
])("%s %s is served by %s with %j", (method, path, name, params) => {
  const match = route(method, path);
  expect(match.endpoint.name).toBe(name);
  expect(match.params).toEqual(params);
});

test.each([
  "/thing",
  "/Things",
  "/things/",
  "//things",
  "/things//parts",
  "/things/x/parts/",
  "/things/x/parts/y/z",
  "/things/x/",
  "/__proto__",
  "/constructor",
  "/things/count/parts/all/now/x",
])("nothing is at %j", (path) => {
  expect(() => route("GET", path)).toThrow(expect.objectContaining({ code: "route_not_found" }));
});

test.each([
  ["PATCH", "/things", ["GET", "HEAD", "POST"]],
  ["get", "/things", ["GET", "HEAD", "POST"]],
  ["POST", "/things/x", ["GET", "HEAD", "PUT", "DELETE"]],
  ["HEAD", "/things/x/parts/y", ["POST"]],
  ["OPTIONS", "/things/count", ["GET", "HEAD"]],
])("%s %s is refused, naming what is taken: %j", (method, path, allow) => {
  expect(() => route(method, path)).toThrow(expect.objectContaining({ code: "method_not_allowed", allow }));
});

test.each(["%", "%z", "%zz", "%C0%80", "%ED%A0%80", "%FF", "a%2"])(
  "a segment %s is refused, naming its parameter",
  (segment) => {
    const errors = [{ pointer: "/thing", message: expect.any(String) }];
    expect(() => route("GET", `/things/${segment}`)).toThrow(
      expect.objectContaining({ code: "invalid_request", errors }),
    );
  },
);

test("two endpoints of one method and path are refused at start", () => {
  expect(() => createRouter([endpoint("GET", "/a/{b}"), endpoint("GET", "/a/{c}")])).toThrow(
    "two endpoints for GET /a/{c}",
  );
});

test("every endpoint there is is found at its own path, by its own method alone", () => {
  const all = createRouter(endpoints);
  for (const { name, method, path } of endpoints) {
    const match = all(method, path.replaceAll(/\{(\w+)\}/g, "x-$1"));
    expect(match.endpoint.name).toBe(name);
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    expect(match.params).toEqual(Object.fromEntries(names.map((parameter) => [parameter, `x-${parameter}`])));
  }
});

test("a path of 10,000 segments is no effort", () => {
  const start = performance.now();
  expect(() => route("GET", "/things".repeat(10_000))).toThrow(expect.objectContaining({ code: "route_not_found" }));
  expect(performance.now() - start).toBeLessThan(100);
});
