import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { definitionTopic } from "../../shared/rules/topics.ts";
import { DefinitionPath, DefinitionQuery, DefinitionVersion } from "../../shared/schemas/definition.ts";

export const definitionsGet = defineEndpoint({
  name: "definitions-get",
  method: "GET",
  path: "/v1/definitions/{definitionId}",
  summary: "Read the current version of a definition, or another",
  description:
    "To follow what is current, send the `ETag` as `If-None-Match` with `waitSeconds`: the answer comes when another " +
    "version is current, or 304 when none was for so long.",
  role: "agent",
  params: DefinitionPath,
  query: DefinitionQuery,
  status: 200,
  returns: DefinitionVersion,
  revalidates: true,
  errors: ["definition_not_found", "version_not_found"],
  runtime: { concurrency: 500, maxInstances: 2, listens: true },
  handler: async ({ params, query, repo, knows, wait }) => {
    const id = params.definitionId;
    const known = await repo.definitions.get(id, query.version);
    if (query.version !== undefined || query.waitSeconds === 0 || !knows(known.revision)) return known;
    await wait(definitionTopic(id), query.waitSeconds, async () => {
      const { current } = await repo.definitions.standing(id);
      return current === known.version ? undefined : true;
    });
    return repo.definitions.get(id);
  },
});
