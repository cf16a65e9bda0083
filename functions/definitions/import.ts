import { type Fault, Problem } from "../../shared/errors.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { yamlForm } from "../../shared/http/forms.ts";
import type { Outcome } from "../../shared/rules/definition-plan.ts";
import { readDefinition, readDefinitions } from "../../shared/rules/definition-yaml.ts";
import { DefinitionsToImport, type Imported, ImportedAll, ImportQuery } from "../../shared/schemas/definition.ts";

/** Most documents of one call: they are locked and written together. */
const MAX_DOCUMENTS = 2000;

export const definitionsImport = defineEndpoint({
  name: "definitions-import",
  method: "POST",
  path: "/v1/definitions/import",
  summary: "Import definitions from YAML or JSON, one document or many",
  description:
    "In our own form (`kind`), or one of two older ones: `agent:` or `team:` with sections, and `metadata:` in snake_case. " +
    "Each document has a result of its own, in order, and one that is refused keeps no other back. What exists with the same " +
    "content is `unchanged`. Teams find members that come with them.",
  role: "operator",
  query: ImportQuery,
  body: DefinitionsToImport,
  forms: [yamlForm],
  status: 200,
  returns: ImportedAll,
  idempotent: true,
  errors: [],
  runtime: { memoryMb: 512 },
  handler: async ({ query: { publish, dryRun, source }, body, repo }) => {
    const read = typeof body === "string" ? readDefinitions(body) : [body].flat().map(readDefinition);
    if (read.length > MAX_DOCUMENTS) {
      const errors = [{ pointer: "", message: `must be at most ${MAX_DOCUMENTS} documents` }];
      throw new Problem("invalid_request", `There are ${read.length} documents.`, { errors });
    }
    const documents = read.flatMap(({ document }) => document ?? []);
    const manner = { source, publish, activate: "ifHigher", revives: false } as const;
    const outcomes = (documents.length > 0 ? await repo.definitions.take(documents, manner, dryRun) : []).values();
    const results = read.map(({ document, faults: errors, warnings = [], ...named }): Imported => {
      const outcome = document && outcomes.next().value;
      return outcome ? { ...named, ...resultOf(outcome, warnings) } : { ...named, action: "invalid", errors };
    });
    return { dryRun, results };
  },
});

function resultOf({ action, status, current, problem, ...outcome }: Outcome, read: Fault[]): Imported {
  const warnings = [...read, ...outcome.warnings];
  return {
    action,
    ...(status && { status, current }),
    ...(problem && { problem: problem.toItem() }),
    ...(problem?.errors && { errors: problem.errors }),
    ...(warnings.length > 0 && { warnings }),
  };
}
