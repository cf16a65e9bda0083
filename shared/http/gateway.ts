import type { Endpoint } from "./endpoint.ts";
import { pathsOf } from "./openapi.ts";
import { streams } from "./stream.ts";

/** Whether the API Gateway can and may call it: `system` endpoints are for the scheduler and the deployer alone. */
function isBehindGateway(endpoint: Endpoint): boolean {
  return endpoint.role !== "system" && !streams(endpoint);
}

/**
 * The API Gateway's document (OpenAPI 3.0 with Google's extensions): one backend for each endpoint, with the deadline that
 * it declares, in seconds. Terraform adds each backend's `address` and `jwtAudience`. There is no `security`: who calls is
 * told by the functions.
 */
export function gatewayOf(endpoints: readonly Endpoint[], version: string) {
  const behind = endpoints.filter(isBehindGateway);
  return {
    openapi: "3.0.4",
    info: { title: "CAMS", version },
    "x-google-api-management": {
      backends: Object.fromEntries(behind.map((endpoint) => [endpoint.name, backendOf(endpoint)])),
    },
    paths: pathsOf(behind, operationOf),
  };
}

function operationOf({ name, path, status, summary }: Endpoint) {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => ({
    name: parameter,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return {
    operationId: name,
    summary,
    ...(parameters.length > 0 && { parameters }),
    responses: { [status]: { description: "Success" }, default: { description: "A problem" } },
    "x-google-backend": name,
  };
}

function backendOf({ runtime }: Endpoint) {
  // The gateway's own deadline is 15 s. At this one the function has given up, a second before, and said so.
  return { deadline: runtime.timeoutSeconds, pathTranslation: "APPEND_PATH_TO_ADDRESS" };
}
