import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { AuditVerified } from "../../shared/schemas/audit.ts";

export const auditVerify = defineEndpoint({
  name: "audit-verify",
  method: "GET",
  path: "/v1/audit/verify",
  summary: "Check that no entry of the audit was changed, added or taken away",
  description:
    "Looks at every entry: a million take tens of seconds. `brokenAt` names the first place that does not hold.",
  role: "admin",
  status: 200,
  returns: AuditVerified,
  errors: [],
  runtime: { timeoutSeconds: 300, concurrency: 1, maxInstances: 1 },
  handler: async ({ repo, services }) => {
    const { checked, brokenAt, sequence, hash } = await repo.audit.verify();
    const head = sequence !== undefined && hash !== undefined && { head: { sequence, hash } };
    if (brokenAt === undefined && head) return { valid: true, checked, ...head };
    services.log.alert("the audit was tampered with", { checked, brokenAt });
    return { valid: false, checked, brokenAt: brokenAt ?? 0, ...head };
  },
});
