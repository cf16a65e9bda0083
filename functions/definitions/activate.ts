import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionVersion, VersionDecision, VersionPath } from "../../shared/schemas/definition.ts";

export const definitionsActivate = defineEndpoint({
  name: "definitions-activate",
  method: "POST",
  path: "/v1/definitions/{definitionId}/versions/{version}/activate",
  summary: "Make a published version the current one",
  description:
    "Forwards or back: a rollback is this call. A retired definition lives again; a team of which a member is retired does not.",
  role: "operator",
  params: VersionPath,
  body: VersionDecision,
  status: 200,
  returns: DefinitionVersion,
  errors: [
    "definition_not_found",
    "version_not_found",
    "version_not_published",
    "member_unresolved",
    "revision_mismatch",
  ],
  handler: ({ params, body, repo, ifMatch }) =>
    repo.definitions.activate(params.definitionId, params.version, body.reason, ifMatch),
});
