import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Quarantined, QuarantineMany } from "../../shared/schemas/agent.ts";

export const agentsQuarantineMany = defineEndpoint({
  name: "agents-quarantine-many",
  method: "POST",
  path: "/v1/quarantine",
  summary: "Quarantine every agent with something in common",
  description: "Of an operator only those whose inbox its team owns. In one transaction: all of them, or none.",
  role: "operator",
  body: QuarantineMany,
  status: 200,
  returns: Quarantined,
  errors: [],
  handler: async ({ body, repo }) => ({
    quarantined: await repo.quarantine.isolateMany(body.selector, body.reason),
  }),
});
