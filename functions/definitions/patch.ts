import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionPatch, DefinitionPath, DefinitionVersion, PatchQuery } from "../../shared/schemas/definition.ts";

export const definitionsPatch = defineEndpoint({
  name: "definitions-patch",
  method: "PATCH",
  path: "/v1/definitions/{definitionId}",
  summary: "Make a new version from the current one",
  description:
    "By a JSON merge patch (RFC 7396) of its document; while no version is current, of the highest. A draft, unless " +
    "`publish` makes it current in the same transaction: patches that are published at once never lose one another.",
  role: "operator",
  params: DefinitionPath,
  query: PatchQuery,
  body: DefinitionPatch,
  status: 201,
  returns: DefinitionVersion,
  location: ({ id, version }) => `/v1/definitions/${id}?version=${version}`,
  idempotent: true,
  errors: ["definition_not_found", "version_exists", "member_unresolved", "definition_retired", "revision_mismatch"],
  handler: ({ params, query, body, repo, ifMatch }) =>
    repo.definitions.patch(params.definitionId, body, query, ifMatch),
});
