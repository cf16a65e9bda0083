import { randomUUIDv7 } from "node:crypto";
import type { Server } from "node:http";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { makeApiKey } from "../shared/auth/api-keys.ts";
import { createGate, type Gate } from "../shared/auth/gate.ts";
import { CACHE_MS } from "../shared/auth/lookups.ts";
import type { Config } from "../shared/config.ts";
import { createDatabase } from "../shared/db/database.ts";
import { createHints, type Hints } from "../shared/db/hints.ts";
import { migrate } from "../shared/db/migrate.ts";
import { openConnections } from "../shared/db/pool.ts";
import { createDispatcher } from "../shared/delivery/dispatcher.ts";
import { resealSecrets } from "../shared/delivery/reseal.ts";
import { createSender } from "../shared/delivery/sender.ts";
import { databaseRoleOf, type Endpoint } from "../shared/http/endpoint.ts";
import { type RequestHandler, serve } from "../shared/http/serve.ts";
import { createTraffic } from "../shared/http/traffic.ts";
import { createLogger, type Logger } from "../shared/logging/index.ts";
import { createMetrics, type Metrics } from "../shared/metrics/index.ts";
import { createGuard } from "../shared/outbound/guard.ts";
import { createPubsub } from "../shared/outbound/pubsub.ts";
import { createVault } from "../shared/outbound/vault.ts";
import { createWebhooks } from "../shared/outbound/webhooks.ts";
import { constraints, createRepository, type Repository } from "../shared/repository/index.ts";
import type { DatabaseRole } from "../shared/rules/access.ts";
import { DELIVERIES } from "../shared/rules/topics.ts";

/** Cloud Run gives 10 s from SIGTERM to SIGKILL; the pool needs some of it to close. */
const GRACE_MS = 8_000;

/** The whole service in one process, not yet listening. */
export interface App {
  /** As the service itself: in the database the role `cams_system`. */
  repo: Repository;
  log: Logger;
  /** `gate` takes the place of the configured one: for whoever has no need of a credential. */
  serve(endpoints: readonly Endpoint[], gate?: Gate): RequestHandler;
  migrate(): Promise<{ applied: string[]; version: string }>;
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
  const metrics = createMetrics();
  const { pool, connected, counts, client, close } = await openConnections(config, log);
  // On Cloud Run an idle process is frozen with its sockets open: the listener must go with the last waiter.
  const hints = createHints({ pool: connected, client, log, lingerMs: config.K_SERVICE ? 0 : 10_000 });
  const repos = new Map<DatabaseRole, Repository>();
  const repoOf = (role: DatabaseRole): Repository => {
    const known = repos.get(role);
    if (known) return known;
    const opened = createRepository(createDatabase({ pool: pool(role), log, metrics, constraints }), hints);
    repos.set(role, opened);
    return opened;
  };
  const repo = repoOf("cams_system");
  const traffic = createTraffic({ maxRequests: config.MAX_REQUESTS, maxWaiters: config.MAX_WAITERS }, metrics);
  const gate = createGate(config);
  const outbound = composeOutbound(config, repo, hints, log, metrics);
  const services = {
    log,
    metrics,
    migrate: () => migrate(() => client(true)),
    retentionDays: config.RETENTION_DAYS,
    makeApiKey() {
      const keyId = randomUUIDv7();
      return { keyId, ...makeApiKey(keyId) };
    },
    // A little more: a timer may be early. Where nobody proves who it is, nobody is remembered.
    rightsSettle: () => delay(config.AUTH_MODE === "none" ? 0 : CACHE_MS + 20),
    ...outbound.services,
  };
  metrics.beforeRender(() => {
    const { idle, busy, waiting } = counts();
    metrics.poolConnections("idle", idle);
    metrics.poolConnections("busy", busy);
    metrics.poolConnections("waiting", waiting);
  });

  return {
    repo,
    log,
    serve: (endpoints, other = gate) =>
      serve(endpoints, {
        repo: (endpoint) => repoOf(databaseRoleOf(endpoint)),
        hints,
        services,
        traffic,
        gate: other,
        platformTimeoutSeconds: config.CLOUD_RUN_TIMEOUT_SECONDS,
      }),
    migrate: services.migrate,
    async close(server) {
      // No new connections. HTTP's own close would also cut those on which an answer is still being written.
      if (server) net.Server.prototype.close.call(server);
      const end = performance.now() + GRACE_MS;
      await traffic.stop(GRACE_MS);
      await outbound.close(end - performance.now());
      server?.close();
      server?.closeAllConnections();
      await hints.close();
      await close();
      await log.flush();
    },
  };
}

/** What goes out into the world: the dispatcher, and what it delivers with. */
function composeOutbound(config: Config, repo: Repository, hints: Hints, log: Logger, metrics: Metrics) {
  const servers = config.DNS_SERVERS?.split(",");
  const destinations = createGuard({
    insecure: config.ALLOW_INSECURE_DESTINATIONS === "true",
    ...(servers && { servers }),
  });
  const vault = createVault(config.SECRETS_KEY);
  const webhooks = createWebhooks(destinations);
  const pubsub = createPubsub({
    endpoint: config.PUBSUB_ENDPOINT,
    ...(config.PUBSUB_EMULATOR_HOST && { emulatorHost: config.PUBSUB_EMULATOR_HOST }),
  });
  const dispatch = createDispatcher({
    queue: repo.deliveries,
    send: createSender(webhooks, pubsub, vault, log),
    subscribe: () => hints.subscribe(DELIVERIES),
    log,
    metrics,
  });
  const runs = new Set<Promise<unknown>>();
  return {
    services: {
      deliver(signal: AbortSignal) {
        const run = dispatch(config.DELIVER_SECONDS, signal).finally(() => runs.delete(run));
        runs.add(run);
        return run;
      },
      destinations,
      makeSecret: vault.make,
      resealSecrets: (mayGoOn: () => boolean) => resealSecrets(repo.secrets, vault, log, mayGoOn),
    },
    async close(graceMs: number) {
      // Also those whose caller is gone: what they have sent must be recorded.
      await Promise.race([Promise.allSettled(runs), delay(graceMs, undefined, { ref: false })]);
      webhooks.close();
      pubsub.close();
    },
  };
}
