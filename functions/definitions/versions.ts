import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PageQuery } from "../../shared/schemas/common.ts";
import { DefinitionPath, VersionPage } from "../../shared/schemas/definition.ts";

export const definitionsVersions = defineEndpoint({
  name: "definitions-versions",
  method: "GET",
  path: "/v1/definitions/{definitionId}/versions",
  summary: "List the versions of a definition, the highest first",
  role: "agent",
  params: DefinitionPath,
  query: PageQuery,
  status: 200,
  returns: VersionPage,
  errors: ["definition_not_found"],
  handler: ({ params, query, repo }) => repo.definitions.versions(params.definitionId, query),
});
