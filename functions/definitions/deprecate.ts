import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionVersion, VersionDecision, VersionPath } from "../../shared/schemas/definition.ts";

export const definitionsDeprecate = defineEndpoint({
  name: "definitions-deprecate",
  method: "POST",
  path: "/v1/definitions/{definitionId}/versions/{version}/deprecate",
  summary: "Mark a published version as one that nothing new should use",
  description: "It can be read on, and is in no range that is resolved from then on. The current version cannot be.",
  role: "operator",
  params: VersionPath,
  body: VersionDecision,
  status: 200,
  returns: DefinitionVersion,
  errors: [
    "definition_not_found",
    "version_not_found",
    "version_not_published",
    "version_current",
    "revision_mismatch",
  ],
  handler: ({ params, body, repo, ifMatch }) =>
    repo.definitions.deprecate(params.definitionId, params.version, body.reason, ifMatch),
});
