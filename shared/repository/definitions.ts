import { definitionChanges } from "./definition-changes.ts";
import { definitionDecisions } from "./definition-decisions.ts";
import { definitionMetrics } from "./definition-metrics.ts";
import { definitionReads } from "./definition-reads.ts";
import { definitionStore } from "./definition-store.ts";
import type { Context } from "./index.ts";

/** What agents and teams of agents are, in versions. */
export function definitions(context: Context) {
  return {
    ...definitionReads(context),
    ...definitionMetrics(context),
    ...definitionStore(context),
    ...definitionChanges(context),
    ...definitionDecisions(context),
  };
}
