import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Live } from "../../shared/schemas/system.ts";

export const systemLive = defineEndpoint({
  name: "system-live",
  method: "GET",
  path: "/health/live",
  summary: "Tell that the process answers",
  role: "public",
  databaseRole: "none",
  status: 200,
  returns: Live,
  errors: [],
  handler: async () => ({ status: "live" as const }),
});
