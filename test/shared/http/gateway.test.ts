import { expect, test } from "vitest";
import { endpoints } from "../../../functions/index.ts";
import { defineEndpoint } from "../../../shared/http/endpoint.ts";
import { gatewayOf } from "../../../shared/http/gateway.ts";

const common = { summary: "Does what a test wants", status: 204, errors: [], handler: async () => {} } as const;

test("an endpoint becomes an operation with a backend of its own, which waits as long as the endpoint declares", () => {
  const endpoint = defineEndpoint({
    ...common,
    name: "things-move",
    method: "PUT",
    path: "/v1/things/{thingId}/places/{placeId}",
    role: "agent",
    runtime: { timeoutSeconds: 45 },
  });
  const document = gatewayOf([endpoint], "1.2.3");
  expect(document).toMatchObject({ openapi: "3.0.4", info: { version: "1.2.3" } });
  expect(document["x-google-api-management"].backends).toEqual({
    "things-move": { deadline: 45, pathTranslation: "APPEND_PATH_TO_ADDRESS" },
  });
  expect(document.paths).toEqual({
    "/v1/things/{thingId}/places/{placeId}": {
      put: {
        operationId: "things-move",
        summary: common.summary,
        parameters: ["thingId", "placeId"].map((name) => ({
          name,
          in: "path",
          required: true,
          schema: { type: "string" },
        })),
        responses: { 204: { description: "Success" }, default: { description: "A problem" } },
        "x-google-backend": "things-move",
      },
    },
  });
});

test("methods of one path stand beside one another", () => {
  const things = (["GET", "POST"] as const).map((method) =>
    defineEndpoint({ ...common, name: `things-${method.toLowerCase()}`, method, path: "/v1/things", role: "public" }),
  );
  expect(Object.keys(gatewayOf(things, "1").paths["/v1/things"] ?? {})).toEqual(["get", "post"]);
});

test("neither system endpoints nor streams are in it", () => {
  const sweep = defineEndpoint({ ...common, name: "things-sweep", method: "POST", path: "/v1/sweep", role: "system" });
  const stream = defineEndpoint({
    ...common,
    name: "things-stream",
    method: "GET",
    path: "/v1/stream",
    role: "agent",
    contentType: "text/event-stream; charset=utf-8",
  });
  for (const endpoint of [sweep, stream]) {
    const document = gatewayOf([endpoint], "1");
    expect([document.paths, document["x-google-api-management"].backends]).toEqual([{}, {}]);
  }
});

test("nothing in it asks for credentials: the gateway would take them for Google's", () => {
  const document = gatewayOf(endpoints, "1");
  expect(JSON.stringify(document)).not.toMatch(/"security|"securitySchemes|"apiKey/);
  expect(Object.keys(document["x-google-api-management"].backends)).toEqual(
    endpoints.filter(({ role, name }) => role !== "system" && name !== "events-stream").map(({ name }) => name),
  );
});
