import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { DefinitionVersion } from "../../shared/schemas/definition.ts";
import { DefinitionDocument } from "../../shared/schemas/definition-document.ts";

export const definitionsCreate = defineEndpoint({
  name: "definitions-create",
  method: "POST",
  path: "/v1/definitions",
  summary: "Create a version of a definition, as a draft",
  description:
    "Of a new definition, or of one there is. A draft of that version gets the new content; a version that was published " +
    "never changes, and the same content again is answered as it is. Unknown sub-agents and members are named in `warnings`.",
  role: "operator",
  body: DefinitionDocument,
  status: 201,
  returns: DefinitionVersion,
  location: ({ id, version }) => `/v1/definitions/${id}?version=${version}`,
  idempotent: true,
  errors: ["version_immutable", "definition_kind_mismatch", "definition_retired"],
  handler: ({ body, repo }) => repo.definitions.create(body),
});
