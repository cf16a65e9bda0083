import { agentsCount } from "./count.ts";
import { agentsDelete } from "./delete.ts";
import { agentsGet } from "./get.ts";
import { agentsHistory } from "./history.ts";
import { agentsList } from "./list.ts";
import { agentsPause } from "./pause.ts";
import { agentsQuarantine } from "./quarantine.ts";
import { agentsQuarantineMany } from "./quarantine-many.ts";
import { agentsRegister } from "./register.ts";
import { agentsRelease } from "./release.ts";
import { agentsReleaseMany } from "./release-many.ts";
import { agentsRestart } from "./restart.ts";
import { agentsResume } from "./resume.ts";
import { agentsStart } from "./start.ts";
import { agentsStop } from "./stop.ts";
import { agentsUpdate } from "./update.ts";

/** Who is there, what state it is in, and what it is told. */
export const agents = [
  agentsRegister,
  agentsList,
  agentsCount,
  agentsGet,
  agentsUpdate,
  agentsDelete,
  agentsStart,
  agentsStop,
  agentsPause,
  agentsResume,
  agentsRestart,
  agentsQuarantine,
  agentsRelease,
  agentsHistory,
  agentsQuarantineMany,
  agentsReleaseMany,
];
