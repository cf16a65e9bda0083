import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Ready } from "../../shared/schemas/system.ts";

export const systemReady = defineEndpoint({
  name: "system-ready",
  method: "GET",
  path: "/health/ready",
  summary: "Tell that the database answers too, and has the schema that this code needs",
  role: "public",
  status: 200,
  returns: Ready,
  errors: [],
  handler: async ({ repo }) => {
    await repo.system.verifySchema();
    return { status: "ready" as const };
  },
});
