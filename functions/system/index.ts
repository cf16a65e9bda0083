import { systemDocs } from "./docs.ts";
import { systemLive } from "./live.ts";
import { systemMetrics } from "./metrics.ts";
import { systemMigrate } from "./migrate.ts";
import { systemOpenapi } from "./openapi.ts";
import { systemReady } from "./ready.ts";
import { systemRetention } from "./retention.ts";

/** The service about itself. */
export const system = [
  systemLive,
  systemReady,
  systemOpenapi,
  systemDocs,
  systemMetrics,
  systemMigrate,
  systemRetention,
];
