import { setTimeout as delay } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import type { Config } from "../config.ts";
import type { Logger } from "../logging/index.ts";
import { pauseAfter } from "./back-off.ts";

/** The Cloud SQL connector with IAM authentication: TLS with a certificate of an hour that stands for the account. */
export interface CloudSql {
  /** Resolves once there is a certificate; one attempt, which all share who ask meanwhile, and rejects when it fails. */
  ready(): Promise<void>;
  /** A new TLS connection to the instance, not yet established; only after `ready`. */
  stream(): TLSSocket;
  /** Has a new certificate brought, as connecting failed again and again with the present one. */
  renew(): void;
  close(): void;
}

/** An Admin API that hangs; when it answers 5xx, the connector itself asks again, three times in about 2 s. */
const ATTEMPT_MS = 10_000;
/** Asked for by every request that cannot connect, so not more often; two calls of the Admin API each. */
const RENEW_EVERY_MS = 5_000;

interface Way {
  stream(): TLSSocket;
  close(): void;
}

/** Begins to bring a certificate (80 to 130 ms: a key and two calls of the Admin API) without waiting for it. */
export function openCloudSql(config: Config, instance: string, log: Logger): CloudSql {
  const closing = new AbortController();
  let way: Way | undefined;
  let attempt: Promise<void> | undefined;
  let failures = 0;
  let lastEnd = Number.NEGATIVE_INFINITY;

  async function bring(): Promise<void> {
    try {
      const due = failures === 0 ? 0 : lastEnd + pauseAfter(failures) - performance.now();
      if (due > 0) await delay(due, undefined, { signal: closing.signal });
      const brought = await open(config, instance);
      way?.close();
      way = brought;
      failures = 0;
      if (closing.signal.aborted) brought.close();
    } catch (error) {
      failures += 1;
      if (!closing.signal.aborted) log.warning("no certificate for the database", { error });
      throw error;
    } finally {
      lastEnd = performance.now();
      attempt = undefined;
    }
  }

  function ready(): Promise<void> {
    if (way) return Promise.resolve();
    attempt ??= bring();
    return attempt;
  }

  ready().catch(() => {});
  return {
    ready,
    stream() {
      if (!way) throw new Error("there is no certificate yet");
      return way.stream();
    },
    renew() {
      if (attempt || performance.now() - lastEnd < RENEW_EVERY_MS) return;
      attempt = bring();
      attempt.catch(() => {});
    },
    close() {
      closing.abort();
      way?.close();
    },
  };
}

/** A connector of its own each time: one remembers a failed call, and waits without end for one that hangs. */
async function open(config: Config, instance: string): Promise<Way> {
  const { AuthTypes, Connector, IpAddressTypes } = await import("@google-cloud/cloud-sql-connector");
  const endpoint = config.SQL_ADMIN_ENDPOINT;
  const connector = new Connector(endpoint === undefined ? {} : { sqlAdminAPIEndpoint: endpoint });
  const asked = connector.getOptions({
    instanceConnectionName: instance,
    ipType: IpAddressTypes[config.DB_IP_TYPE],
    authType: AuthTypes.IAM,
  });
  const timer = new AbortController();
  const late = delay(ATTEMPT_MS, undefined, { signal: timer.signal }).then(() => {
    // Only then: closing one that failed is an unhandled rejection, which would end the process.
    asked.then(
      () => connector.close(),
      () => {},
    );
    throw new Error("the Cloud SQL Admin API does not answer");
  });
  try {
    const { stream } = await Promise.race([asked, late]);
    forgive(connector);
    return { stream, close: () => connector.close() };
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

/**
 * Until a connector has connected once it lets a failed renewal end the process, by an unhandled rejection: an Admin API
 * that is down half an hour after the start would end every instance that had no need of the database till then.
 */
function forgive(connector: object): void {
  const { instances } = connector as { instances: Map<string, { instance?: { setEstablishedConnection(): void } }> };
  for (const { instance } of instances.values()) instance?.setEstablishedConnection();
}
