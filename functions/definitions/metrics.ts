import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionPath } from "../../shared/schemas/definition.ts";
import { DefinitionMetrics, DefinitionMetricsQuery } from "../../shared/schemas/definition-metrics.ts";

export const definitionsMetrics = defineEndpoint({
  name: "definitions-metrics",
  method: "GET",
  path: "/v1/definitions/{definitionId}/metrics",
  summary: "Read what the tasks of a definition came to, by version",
  role: "agent",
  params: DefinitionPath,
  query: DefinitionMetricsQuery,
  status: 200,
  returns: DefinitionMetrics,
  errors: ["definition_not_found"],
  handler: ({ params, query, repo }) => repo.definitions.metrics(params.definitionId, query),
});
