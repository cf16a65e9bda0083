import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { QuarantineMany, Released } from "../../shared/schemas/agent.ts";

export const agentsReleaseMany = defineEndpoint({
  name: "agents-release-many",
  method: "POST",
  path: "/v1/release",
  summary: "Release every agent with something in common from quarantine",
  description: "Of an operator only those whose inbox its team owns. In one transaction: all of them, or none.",
  role: "operator",
  body: QuarantineMany,
  status: 200,
  returns: Released,
  errors: [],
  handler: async ({ body, repo }) => ({
    released: await repo.quarantine.releaseMany(body.selector, body.reason),
  }),
});
