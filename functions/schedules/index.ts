import { schedulesCreate } from "./create.ts";
import { schedulesDelete } from "./delete.ts";
import { schedulesGet } from "./get.ts";
import { schedulesList } from "./list.ts";
import { schedulesRun } from "./run.ts";
import { schedulesRuns } from "./runs.ts";
import { schedulesTick } from "./tick.ts";
import { schedulesUpdate } from "./update.ts";

/** What publishes events by the clock. */
export const schedules = [
  schedulesCreate,
  schedulesGet,
  schedulesList,
  schedulesUpdate,
  schedulesDelete,
  schedulesRun,
  schedulesRuns,
  schedulesTick,
];
