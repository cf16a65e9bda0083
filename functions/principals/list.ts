import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { PrincipalFilter, PrincipalPage } from "../../shared/schemas/principal.ts";

export const principalsList = defineEndpoint({
  name: "principals-list",
  method: "GET",
  path: "/v1/principals",
  summary: "List principals, newest first",
  role: "admin",
  query: PrincipalFilter,
  status: 200,
  returns: PrincipalPage,
  errors: [],
  handler: ({ query, repo }) => repo.principals.list(query),
});
