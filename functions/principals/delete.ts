import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PrincipalPath } from "../../shared/schemas/principal.ts";

export const principalsDelete = defineEndpoint({
  name: "principals-delete",
  method: "DELETE",
  path: "/v1/principals/{principalId}",
  summary: "Delete a principal with its keys",
  description: "After the answer, a second later, no process of the service takes it for known.",
  role: "admin",
  params: PrincipalPath,
  status: 204,
  errors: ["principal_not_found", "revision_mismatch"],
  handler: async ({ params, repo, ifMatch, services }) => {
    await repo.principals.delete(params.principalId, ifMatch);
    await services.rightsSettle();
  },
});
