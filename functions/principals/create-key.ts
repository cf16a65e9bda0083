import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { pathSegment } from "../../shared/rules/paths.ts";
import { ApiKeyToCreate, ApiKeyWithSecret, PrincipalPath } from "../../shared/schemas/principal.ts";

export const principalsCreateKey = defineEndpoint({
  name: "principals-create-key",
  method: "POST",
  path: "/v1/principals/{principalId}/keys",
  summary: "Give a principal an API key, shown this once",
  description:
    "Sent as `X-Cams-Key`. Of its secret only a hash is kept: who loses it creates another and revokes this one.",
  role: "admin",
  params: PrincipalPath,
  body: ApiKeyToCreate,
  status: 201,
  returns: ApiKeyWithSecret,
  location: (key) => `/v1/principals/${pathSegment(key.principalId)}`,
  idempotent: true,
  shownOnce: ["key"],
  errors: ["principal_not_found", "too_many_keys"],
  handler: async ({ params, body, repo, services }) => {
    const { key, ...made } = services.makeApiKey();
    const { principalId } = params;
    return { principalId, ...(await repo.principals.createKey(principalId, body, made)), key };
  },
});
