import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { ReasonQuery, VersionPath } from "../../shared/schemas/definition.ts";

export const definitionsDeleteVersion = defineEndpoint({
  name: "definitions-delete-version",
  method: "DELETE",
  path: "/v1/definitions/{definitionId}/versions/{version}",
  summary: "Delete a draft",
  description: "With its last version a definition is gone; the history of both stays in the audit.",
  role: "operator",
  params: VersionPath,
  query: ReasonQuery,
  status: 204,
  errors: ["definition_not_found", "version_not_found", "version_immutable", "revision_mismatch"],
  handler: ({ params, query, repo, ifMatch }) =>
    repo.definitions.deleteVersion(params.definitionId, params.version, query.reason, ifMatch),
});
