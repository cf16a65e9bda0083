import { z } from "zod";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { documentationPage } from "../../shared/http/docs.ts";
import document from "../../docs/openapi.json" with { type: "json" };

export const systemDocs = defineEndpoint({
  name: "system-docs",
  method: "GET",
  path: "/docs",
  summary: "Read this API's description as a page",
  role: "public",
  status: 200,
  returns: z.string(),
  contentType: "text/html; charset=utf-8",
  errors: [],
  handler: () => documentationPage(document),
});
