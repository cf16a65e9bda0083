import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { differences } from "../../shared/rules/json-diff.ts";
import { DefinitionDiff, DefinitionPath, DiffQuery } from "../../shared/schemas/definition.ts";

export const definitionsDiff = defineEndpoint({
  name: "definitions-diff",
  method: "GET",
  path: "/v1/definitions/{definitionId}/diff",
  summary: "Compare two versions of a definition",
  description: "`patch` (RFC 6902), applied in order, makes the document of `to` from that of `from`.",
  role: "agent",
  params: DefinitionPath,
  query: DiffQuery,
  status: 200,
  returns: DefinitionDiff,
  errors: ["definition_not_found", "version_not_found"],
  handler: async ({ params, query, repo }) => {
    const id = params.definitionId;
    const { highest } = await repo.definitions.standing(id);
    const from = await repo.definitions.get(id, query.from);
    const to = await repo.definitions.get(id, query.to ?? highest);
    return { from: from.version, to: to.version, patch: differences(from.document, to.document) };
  },
});
