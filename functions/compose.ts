import { randomUUIDv7 } from "node:crypto";
import type { Server } from "node:http";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { makeApiKey } from "../shared/auth/api-keys.ts";
import { createGate, type Gate } from "../shared/auth/gate.ts";
import { CACHE_MS } from "../shared/auth/lookups.ts";
import type { Config } from "../shared/config.ts";
import { createDatabase } from "../shared/db/database.ts";
import { createHints } from "../shared/db/hints.ts";
import { openConnections } from "../shared/db/pool.ts";
import { databaseRoleOf, type Endpoint } from "../shared/http/endpoint.ts";
import { type RequestHandler, serve } from "../shared/http/serve.ts";
import { createTraffic } from "../shared/http/traffic.ts";
import { createLogger, type Logger } from "../shared/logging/index.ts";
import { createMetrics } from "../shared/metrics/index.ts";
import { constraints, createRepository, type Repository } from "../shared/repository/index.ts";
import type { DatabaseRole } from "../shared/rules/access.ts";
import { createOwnEvents, type OwnEvents } from "../shared/services/own-events.ts";
import type { Opened, Parts, Service } from "../shared/services/service.ts";

/** Cloud Run gives 10 s from SIGTERM to SIGKILL; the pool needs some of it to close. */
const GRACE_MS = 8_000;
/** What has no statements is given a repository too, and its pool never opens. */
const NO_STATEMENTS: DatabaseRole = "cams_reader";

/** The whole service in one process, not yet listening. */
export interface App {
  config: Config;
  /** As the service itself: in the database the role `cams_system`. */
  repo: Repository;
  log: Logger;
  /** `gate` takes the place of the configured one: for whoever has no need of a credential. */
  serve(endpoints: readonly Endpoint[], gate?: Gate): RequestHandler;
  /** A database connection of its own, connected and without a role. */
  client(): Promise<pg.Client>;
  /** Stops accepting, ends waiting requests, lets the others finish, closes the database. */
  close(server?: Server): Promise<void>;
}

/** Composes the service: configuration → database → repository → services. Connects to nothing yet. */
export async function compose(config: Config): Promise<App> {
  const log = createLogger({
    level: config.LOG_LEVEL,
    transport: config.LOG_TRANSPORT,
    format: config.LOG_FORMAT,
    ...(config.GOOGLE_CLOUD_PROJECT && { project: config.GOOGLE_CLOUD_PROJECT }),
  });
  const metrics = createMetrics(log);
  const ownEvents = new Map<DatabaseRole, OwnEvents>();
  const { pool, connected, counts, client, close } = await openConnections(config, log, (role, notice) =>
    ownEvents.get(role)?.heard(notice),
  );
  // On Cloud Run an idle process is frozen with its sockets open: the listener must go with the last waiter.
  const hints = createHints({ pool: connected, client, log, lingerMs: config.K_SERVICE ? 0 : 10_000 });
  const repos = new Map<DatabaseRole, Repository>();
  const repoOf = (role: DatabaseRole): Repository => {
    const known = repos.get(role);
    if (known) return known;
    const opened = createRepository(createDatabase({ pool: pool(role), log, metrics, constraints }), hints);
    repos.set(role, opened);
    ownEvents.set(role, createOwnEvents({ hints, log, route: (limit) => opened.events.route(limit) }));
    return opened;
  };
  const repo = repoOf("cams_system");
  const traffic = createTraffic({ maxRequests: config.MAX_REQUESTS, maxWaiters: config.MAX_WAITERS }, metrics);
  const gate = createGate(config);
  const services = {
    log,
    metrics,
    retentionDays: config.RETENTION_DAYS,
    taskRetentionDays: config.TASK_RETENTION_DAYS,
    eventRetentionDays: config.EVENT_RETENTION_DAYS,
    makeApiKey() {
      const keyId = randomUUIDv7();
      return { keyId, ...makeApiKey(keyId) };
    },
    // A little more: a timer may be early. Where nobody proves who it is, nobody is remembered.
    rightsSettle: () => delay(config.AUTH_MODE === "none" ? 0 : CACHE_MS + 20),
  };
  const needed = openOnce({ config, repo, hints, log, metrics, client: () => client(true) });
  metrics.beforeRender(() => {
    const { idle, busy, waiting } = counts();
    metrics.poolConnections("idle", idle);
    metrics.poolConnections("busy", busy);
    metrics.poolConnections("waiting", waiting);
  });

  return {
    config,
    repo,
    log,
    serve: (endpoints, other = gate) =>
      serve(endpoints, {
        repo: (endpoint) => repoOf(databaseRoleOf(endpoint) ?? NO_STATEMENTS),
        hints,
        services,
        needed: ({ needs }) => needed.services(needs),
        traffic,
        gate: other,
        platformTimeoutSeconds: config.CLOUD_RUN_TIMEOUT_SECONDS,
      }),
    client: () => client(true),
    async close(server) {
      // No new connections. HTTP's own close would also cut those on which an answer is still being written.
      if (server) net.Server.prototype.close.call(server);
      const end = performance.now() + GRACE_MS;
      await traffic.stop(GRACE_MS);
      await needed.close(end - performance.now());
      server?.close();
      server?.closeAllConnections();
      for (const own of ownEvents.values()) await own.close();
      await hints.close();
      await close();
      await log.flush();
    },
  };
}

/** Opens each service when it is first needed, and closes what was opened. */
function openOnce(parts: Parts) {
  const opened = new Map<Service<unknown>, Opened<unknown>>();
  return {
    services: (needs: Endpoint["needs"] = {}) =>
      Object.fromEntries(
        Object.entries(needs).map(([name, need]) => {
          const one = opened.get(need) ?? need.open(parts);
          opened.set(need, one);
          return [name, one.service];
        }),
      ),
    async close(graceMs: number) {
      await Promise.all([...opened.values()].map((one) => one.close?.(graceMs)));
    },
  };
}
