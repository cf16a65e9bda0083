import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "vitest";
import { endpoints } from "../../functions/index.ts";
import { problems } from "../../shared/errors.ts";
import { openapiOf, problemsOf } from "../../shared/http/openapi.ts";
import { createRouter } from "../../shared/http/route.ts";
import type { Answer } from "./client.ts";

const document = openapiOf(endpoints, "test");
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: "api", ...document });
const route = createRouter(endpoints);

/** Fails the test when an answer is not one that the published description allows. */
export function checkAnswer(method: string, path: string, answer: Answer): void {
  expect(answer.headers.get("x-request-id"), "X-Request-Id").toMatch(/./);
  const endpoint = endpointOf(method, path);
  if (answer.status >= 400) {
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(problems).toHaveProperty(answer.body.code);
    expect(answer.body.requestId).toBe(answer.headers.get("x-request-id"));
    if (endpoint)
      expect(problemsOf(endpoint), `${endpoint.name} documents ${answer.body.code}`).toContain(answer.body.code);
  }
  if (!endpoint) return;
  const responses = `api#/paths/${pointerPart(endpoint.path)}/${endpoint.method.toLowerCase()}/responses`;
  const type =
    answer.status >= 400 ? "application/problem+json" : (endpoint.contentType?.split(";")[0] ?? "application/json");
  if (answer.status === 304) expect(endpoint.revalidates, `${endpoint.name} answers 304`).toBe(true);
  if (answer.status === 204 || answer.status === 304) return;
  const validate = ajv.getSchema(`${responses}/${answer.status}/content/${pointerPart(type)}/schema`);
  expect(validate, `${endpoint.name} documents ${answer.status} as ${type}`).toBeDefined();
  expect(validate?.(answer.body), `${endpoint.name} ${answer.status}: ${ajv.errorsText(validate?.errors)}`).toBe(true);
}

function endpointOf(method: string, path: string) {
  try {
    return route(method, path.split("?")[0] ?? "").endpoint;
  } catch {
    return undefined;
  }
}

function pointerPart(key: string): string {
  return encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1"));
}
