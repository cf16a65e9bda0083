import * as z from "zod";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { writeDefinition } from "../../shared/rules/definition-export.ts";
import { DefinitionPath, VersionQuery } from "../../shared/schemas/definition.ts";

export const definitionsExport = defineEndpoint({
  name: "definitions-export",
  method: "GET",
  path: "/v1/definitions/{definitionId}/export",
  summary: "Export a version of a definition as YAML",
  description: "Equal documents give equal bytes, and what is imported from them is `unchanged`.",
  role: "agent",
  params: DefinitionPath,
  query: VersionQuery,
  status: 200,
  returns: z.string(),
  contentType: "application/yaml",
  errors: ["definition_not_found", "version_not_found"],
  handler: async ({ params, query, repo, attach }) => {
    const { id, version, document } = await repo.definitions.get(params.definitionId, query.version);
    attach(`${id}-${version}.yaml`);
    return writeDefinition(document);
  },
});
