import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PrincipalPath, PrincipalWithKeys } from "../../shared/schemas/principal.ts";

export const principalsGet = defineEndpoint({
  name: "principals-get",
  method: "GET",
  path: "/v1/principals/{principalId}",
  summary: "Read a principal and its keys, without their secrets",
  role: "admin",
  params: PrincipalPath,
  status: 200,
  returns: PrincipalWithKeys,
  revalidates: true,
  errors: ["principal_not_found"],
  handler: ({ params, repo }) => repo.principals.get(params.principalId),
});
