import * as z from "zod";
import document from "../../docs/openapi.json" with { type: "json" };
import { defineEndpoint } from "../../shared/http/endpoint.ts";

export const systemOpenapi = defineEndpoint({
  name: "system-openapi",
  method: "GET",
  path: "/openapi.json",
  summary: "Read this API's description (OpenAPI 3.1)",
  role: "public",
  databaseRole: "none",
  status: 200,
  returns: z.looseObject({ openapi: z.string() }),
  errors: [],
  handler: async () => document,
});
