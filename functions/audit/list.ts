import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AuditFilter, AuditPage } from "../../shared/schemas/audit.ts";

export const auditList = defineEndpoint({
  name: "audit-list",
  method: "GET",
  path: "/v1/audit",
  summary: "Read who decided what, newest first",
  description: "An operator sees what concerns its team's things, an administrator everything.",
  role: "operator",
  query: AuditFilter,
  status: 200,
  returns: AuditPage,
  errors: [],
  handler: ({ query, repo }) => repo.audit.list(query),
});
