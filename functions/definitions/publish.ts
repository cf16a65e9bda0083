import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionVersion, PublishQuery, VersionDecision, VersionPath } from "../../shared/schemas/definition.ts";

export const definitionsPublish = defineEndpoint({
  name: "definitions-publish",
  method: "POST",
  path: "/v1/definitions/{definitionId}/versions/{version}/publish",
  summary: "Publish a draft, and make it current",
  description:
    "From then on it never changes. Of a team the exact versions of its members are settled and kept. With " +
    "`activate=false` what is current stays so. A version that is published already is answered as it is.",
  role: "operator",
  params: VersionPath,
  query: PublishQuery,
  body: VersionDecision,
  status: 200,
  returns: DefinitionVersion,
  errors: ["definition_not_found", "version_not_found", "version_immutable", "member_unresolved", "revision_mismatch"],
  handler: ({ params, query, body, repo, ifMatch }) =>
    repo.definitions.publish(params.definitionId, params.version, { ...query, ...body }, ifMatch),
});
