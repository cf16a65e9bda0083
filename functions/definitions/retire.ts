import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionPath, ReasonQuery } from "../../shared/schemas/definition.ts";

export const definitionsRetire = defineEndpoint({
  name: "definitions-retire",
  method: "DELETE",
  path: "/v1/definitions/{definitionId}",
  summary: "Take a definition out of use",
  description:
    "None of its versions is current any more, and its triggers are gone. Its versions and its history can be read on; it " +
    "lives again as soon as a version is made current.",
  role: "operator",
  params: DefinitionPath,
  query: ReasonQuery,
  status: 204,
  errors: ["definition_not_found", "definition_in_use", "revision_mismatch"],
  handler: ({ params, query, repo, ifMatch }) => repo.definitions.retire(params.definitionId, query.reason, ifMatch),
});
