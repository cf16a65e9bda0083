import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Principal, PrincipalPath, PrincipalToPut } from "../../shared/schemas/principal.ts";

export const principalsPut = defineEndpoint({
  name: "principals-put",
  method: "PUT",
  path: "/v1/principals/{principalId}",
  summary: "Register a principal, or change what it may do",
  description:
    "Sets role, team and addresses together. Answered after a second, when every process of the service knows it.",
  role: "admin",
  params: PrincipalPath,
  body: PrincipalToPut,
  status: 200,
  returns: Principal,
  errors: ["revision_mismatch"],
  handler: async ({ params, body, repo, ifMatch, services }) => {
    const principal = await repo.principals.put(params.principalId, body, ifMatch);
    await services.rightsSettle();
    return principal;
  },
});
