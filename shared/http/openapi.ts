import * as z from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiParameters } from "zod-openapi";
import { type ProblemCode, problems } from "../errors.ts";
import type { Endpoint } from "./endpoint.ts";
import { formsOf } from "./request.ts";
import { streams } from "./stream.ts";

const Problem = z
  .object({
    type: z.string().meta({ description: "`/problems/<code>`" }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Problem", description: "RFC 9457; `code` is the stable word to tell problems apart by." });

const header = (description: string) => z.string().meta({ description });
const requestId = { "X-Request-Id": header("The caller's when it was a sane one, else a new one.") };

/** Problems that an endpoint can answer by its kind, beside its own. */
export function problemsOf(endpoint: Endpoint): ProblemCode[] {
  return [
    "invalid_request",
    ...(endpoint.role === "public"
      ? []
      : (["unauthenticated", "forbidden", "rate_limited", "issuer_unavailable"] as const)),
    // Without a declared body too: `{}` is taken there, and what is sent instead is refused for what it is.
    ...(endpoint.method === "GET" ? [] : (["malformed_json", "body_too_large", "unsupported_media_type"] as const)),
    ...(endpoint.idempotent ? (["idempotency_key_reused"] as const) : []),
    ...endpoint.errors,
    "internal",
    "database_unavailable",
    "schema_outdated",
    "overloaded",
    "deadline_exceeded",
  ];
}

/** This API as an OpenAPI 3.1 document; `rooms` says what each is for. */
export function openapiOf(endpoints: readonly Endpoint[], version: string, rooms: Record<string, string> = {}) {
  return createDocument({
    openapi: "3.1.1",
    info: {
      title: "CAMS, the Central Agent Mapping Service",
      version,
      description:
        "A serverless control plane for AI agents. Times are RFC 3339 in UTC, durations whole seconds; unknown fields " +
        "are refused; every failure is `application/problem+json`.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A token (OpenID Connect) of a trusted issuer.",
        },
        key: { type: "apiKey", in: "header", name: "X-Cams-Key", description: "An API key." },
      },
    },
    tags: Object.entries(rooms).map(([name, description]) => ({ name, description })),
    paths: pathsOf(endpoints, operationOf),
  });
}

/** What an OpenAPI document has under `paths`: for each path, by method, what `operation` makes of the endpoint. */
export function pathsOf<T>(endpoints: readonly Endpoint[], operation: (endpoint: Endpoint) => T) {
  const paths: Record<string, Record<string, T>> = {};
  for (const endpoint of endpoints) {
    const path = paths[endpoint.path] ?? {};
    paths[endpoint.path] = path;
    path[endpoint.method.toLowerCase()] = operation(endpoint);
  }
  return paths;
}

/** The room of an endpoint: the part of its name before the first dash. */
export function roomOf(endpoint: Endpoint): string {
  return endpoint.name.slice(0, endpoint.name.indexOf("-"));
}

function operationOf(endpoint: Endpoint): ZodOpenApiOperationObject {
  const { params, query, body, returns, status } = endpoint;
  const headers: Record<string, z.ZodType> = Object.assign({}, ...(endpoint.forms ?? []).map(({ headers }) => headers));
  if (endpoint.idempotent)
    headers["Idempotency-Key"] = header("Makes the call safe to repeat for 24 hours: 1 to 255 characters.").optional();
  if (endpoint.errors.includes("revision_mismatch"))
    headers["If-Match"] = header("Only if the resource is at this revision: its `ETag`.").optional();
  if (endpoint.revalidates)
    headers["If-None-Match"] = header("Answer 304 if the resource is still at this revision: its `ETag`.").optional();
  if (streams(endpoint))
    headers["Last-Event-ID"] = header("Go on behind this event of an earlier stream: its `id`.").optional();
  const requestParams = {
    ...(params && { path: params }),
    ...(query && { query }),
    ...(Object.keys(headers).length > 0 && { header: z.object(headers) }),
  } as ZodOpenApiParameters;
  return {
    operationId: endpoint.name,
    summary: endpoint.summary,
    ...(endpoint.description && { description: endpoint.description }),
    tags: [roomOf(endpoint)],
    "x-role": endpoint.role,
    security: endpoint.role === "public" ? [] : [{ token: [] }, { key: [] }],
    requestParams,
    ...(body && {
      requestBody: { required: !accepts(body, {}), content: contentOf(endpoint, body) },
    }),
    responses: {
      [status]: {
        description: "Success",
        headers: z.object(answerHeaders(endpoint)),
        ...(returns && {
          content: { [endpoint.contentType?.split(";")[0] ?? "application/json"]: { schema: returns } },
        }),
      },
      ...(endpoint.revalidates && {
        "304": {
          description: "It is still as the `ETag` of `If-None-Match` says.",
          headers: z.object(answerHeaders(endpoint)),
        },
      }),
      ...refusals(problemsOf(endpoint)),
    },
  };
}

function contentOf(endpoint: Endpoint, body: z.ZodType) {
  return Object.fromEntries(formsOf(endpoint).map(({ type, described = body }) => [type, { schema: described }]));
}

function answerHeaders(endpoint: Endpoint): Record<string, z.ZodType> {
  const shape = endpoint.returns instanceof z.ZodObject ? endpoint.returns.shape : {};
  return {
    ...requestId,
    ...(endpoint.location && { Location: header("Where what was created can be read.") }),
    ...("revision" in shape && { ETag: header('`"<revision>"`, for `If-Match`.') }),
    ...(endpoint.idempotent && {
      "Idempotent-Replayed": header("`true` when this is the first answer again.").optional(),
    }),
  };
}

function refusals(codes: readonly ProblemCode[]): Record<string, object> {
  const byStatus = Map.groupBy(codes, (code) => problems[code].status);
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, group]) => [
        String(status),
        {
          description: group.map((code) => `\`${code}\`: ${problems[code].title}.`).join("\n"),
          headers: z.object({
            ...requestId,
            ...(status === 401 && { "WWW-Authenticate": header("`Bearer`: how to say who calls.") }),
            ...((status === 429 || status === 503) && { "Retry-After": header("Seconds after which to try again.") }),
          }),
          content: { "application/problem+json": { schema: Problem } },
        },
      ]),
  );
}

function accepts(schema: z.ZodType, value: unknown): boolean {
  return schema.safeParse(value).success;
}
