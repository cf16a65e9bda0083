import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionFilter, DefinitionPage } from "../../shared/schemas/definition.ts";

export const definitionsList = defineEndpoint({
  name: "definitions-list",
  method: "GET",
  path: "/v1/definitions",
  summary: "List definitions, newest first",
  description: "Each as its current version shows it, or while none is current its highest.",
  role: "agent",
  query: DefinitionFilter,
  status: 200,
  returns: DefinitionPage,
  errors: [],
  handler: ({ query, repo }) => repo.definitions.list(query),
});
