import type { Context } from "./index.ts";
import { claiming } from "./task-claim.ts";
import { taskDecisions } from "./task-decisions.ts";
import { archiveEnded } from "./task-ends.ts";
import { taskReads } from "./task-reads.ts";
import { submitting } from "./task-submit.ts";
import { working } from "./task-work.ts";

/** Work for agents, from its submission to its end. */
export function tasks(context: Context) {
  return {
    ...taskReads(context),
    ...submitting(context),
    ...claiming(context),
    ...working(context),
    ...taskDecisions(context),
    archiveEnded: (limit: number) => archiveEnded(context, limit),
  };
}
