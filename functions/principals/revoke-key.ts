import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { KeyPath } from "../../shared/schemas/principal.ts";

export const principalsRevokeKey = defineEndpoint({
  name: "principals-revoke-key",
  method: "DELETE",
  path: "/v1/principals/{principalId}/keys/{keyId}",
  summary: "Revoke an API key",
  description: "After the answer, a second later, no process of the service takes it.",
  role: "admin",
  params: KeyPath,
  status: 204,
  errors: ["principal_not_found", "key_not_found"],
  handler: async ({ params, repo, services }) => {
    await repo.principals.revokeKey(params.principalId, params.keyId);
    await services.rightsSettle();
  },
});
