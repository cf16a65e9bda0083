import { agents } from "./agents.ts";
import { audit } from "./audit.ts";
import { auth } from "./auth.ts";
import { coldStart } from "./cold-start.ts";
import { definitions } from "./definitions.ts";
import { deliver } from "./deliver.ts";
import { events } from "./events.ts";
import { heartbeat } from "./heartbeat.ts";
import { lookup } from "./lookup.ts";
import { pull } from "./pull.ts";
import { send } from "./send.ts";
import type { Bench } from "./support/bench.ts";
import { sweep } from "./sweep.ts";
import { tasks } from "./tasks.ts";

/** Every hot path that is measured. */
export const benches: readonly Bench[] = [
  lookup,
  send,
  pull,
  deliver,
  heartbeat,
  sweep,
  auth,
  audit,
  definitions,
  agents,
  tasks,
  events,
  coldStart,
];
