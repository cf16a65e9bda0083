import type pg from "pg";
import type { Config } from "../config.ts";
import type { Hints } from "../db/hints.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Repository } from "../repository/index.ts";

/** What a function may do in the cloud beside its database: publish to Pub/Sub, read the key to webhooks' secrets. */
export type CloudRight = "pubsub" | "secrets";

/** What a service is made from. */
export interface Parts {
  config: Config;
  /** As the service itself: in the database the role `cams_system`. */
  repo: Repository;
  hints: Hints;
  log: Logger;
  metrics: Metrics;
  /** A database connection of its own, connected and without a role. */
  client(): Promise<pg.Client>;
}

/**
 * Something that some endpoints need beside the repository. They name it as a value, so a function's bundle holds what
 * its endpoint names and nothing else, and its account gets those rights.
 */
export interface Service<T> {
  rights: readonly CloudRight[];
  /** Called once a process, when an endpoint that needs it is served; connects to nothing yet. */
  open(parts: Parts): Opened<T>;
}

/** A service at work. */
export interface Opened<T> {
  service: T;
  /** Ends what runs, within so many milliseconds, and lets go of connections. */
  close?(graceMs: number): Promise<void>;
}
