import type * as z from "zod";
import type { DefinitionChange } from "../schemas/definition.ts";
import { differences } from "./json-diff.ts";

type Change = z.output<typeof DefinitionChange>;
type State = Record<string, unknown> | undefined;

/** An entry of the audit about a definition or one of its versions, its states in the words of the API. */
interface Entry {
  sequence: number;
  at: string;
  before: State;
  after: State;
  [told: string]: unknown;
}

const OF_VERSIONS: Record<string, Change["action"]> = {
  created: "version_created",
  updated: "version_replaced",
  published: "version_published",
  deprecated: "version_deprecated",
  deleted: "version_deleted",
};

const SOURCES: Record<string, Change["source"]> = { loader: "loader", "definitions-import": "yaml", sql: "sql" };

/** What an entry of the audit means in the history of a definition. */
export function changeOf({ sequence, at, before, after, ...told }: Entry): Change {
  const { actor, reason, requestId, source, resourceType, action } = told as Record<string, string>;
  const state = after ?? before;
  const version = (state?.version ?? after?.currentVersion) as string | undefined;
  return {
    sequence,
    at,
    action: resourceType === "definition" ? ofDefinition(before, after) : (OF_VERSIONS[action ?? ""] ?? "updated"),
    ...(version !== undefined && { version }),
    ...(before && { before }),
    ...(after && { after }),
    changed: differences(before, after).map(({ path }) => path),
    actor: actor ?? "",
    ...(reason && { reason }),
    source: SOURCES[source ?? ""] ?? "api",
    ...(requestId && { requestId }),
  };
}

function ofDefinition(before: State, after: State): Change["action"] {
  if (!before) return "created";
  if (!after) return "deleted";
  if (after.retiredAt !== undefined && before.retiredAt === undefined) return "retired";
  return after.currentVersion === before.currentVersion ? "updated" : "activated";
}
