import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PageQuery } from "../../shared/schemas/common.ts";
import { DefinitionHistory, DefinitionPath } from "../../shared/schemas/definition.ts";

export const definitionsHistory = defineEndpoint({
  name: "definitions-history",
  method: "GET",
  path: "/v1/definitions/{definitionId}/history",
  summary: "List what was decided about a definition, newest first",
  description:
    "Who, when and why, with what was before and after in full, and the paths that differ. A page has fewer entries than " +
    "asked for when their documents are large.",
  role: "agent",
  params: DefinitionPath,
  query: PageQuery,
  status: 200,
  returns: DefinitionHistory,
  errors: ["definition_not_found"],
  handler: ({ params, query, repo }) => repo.definitions.history(params.definitionId, query),
});
