import * as z from "zod";
import document from "../../docs/openapi.json" with { type: "json" };
import { documentationPage } from "../../shared/http/docs.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";

export const systemDocs = defineEndpoint({
  name: "system-docs",
  method: "GET",
  path: "/docs",
  summary: "Read this API's description as a page",
  role: "public",
  databaseRole: "none",
  status: 200,
  returns: z.string(),
  contentType: "text/html; charset=utf-8",
  errors: [],
  handler: () => documentationPage(document),
});
