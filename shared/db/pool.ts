import pg from "pg";
import type { Config } from "../config.ts";
import type { Logger } from "../logging/index.ts";
import type { DatabaseRole } from "../rules/access.ts";
import { types } from "./types.ts";

/** Where connections come from: a pool for the statements of each database role, and single clients. */
export interface Connections {
  /** Opened when it is first asked for. */
  pool(role: DatabaseRole): pg.Pool;
  /** A pool that has connections, whatever its role; best one with a connection to spare. */
  connected(): pg.Pool | undefined;
  /** Connections of all pools, and requests for one that wait. */
  counts(): { idle: number; busy: number; waiting: number };
  /** A connection of its own, not yet connected and without a role: to listen, or to migrate. */
  client(): pg.Client;
  close(): Promise<void>;
}

/** Longest a request waits for a free connection, and a connection attempt may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Times arrive as text in one form only, whatever the server's defaults are. For the audit it is the service itself that
 * changes something, unless a transaction names the caller.
 */
const OPTIONS = "-c TimeZone=UTC -c DateStyle=ISO -c cams.actor=cams -c cams.source=cams";

/**
 * Opens the way to PostgreSQL that the configuration chooses: `INSTANCE_CONNECTION_NAME` through the Cloud SQL connector
 * with IAM authentication, else `DATABASE_URL`. Nothing is connected before the first statement.
 */
export async function openConnections(config: Config, log: Logger): Promise<Connections> {
  const { options, close } = config.INSTANCE_CONNECTION_NAME
    ? await cloudSql(config, config.INSTANCE_CONNECTION_NAME)
    : { options: direct(config.DATABASE_URL), close: async () => {} };
  const common = `${options.options ?? ""} ${OPTIONS}`;
  const settings: pg.ClientConfig = {
    ...options,
    types,
    application_name: config.FUNCTION_TARGET ?? "cams",
    options: common,
    idle_in_transaction_session_timeout: 10_000,
    statement_timeout: config.DB_STATEMENT_TIMEOUT_SECONDS * 1000,
    // A network that swallows packets: the server's own limit never arrives. Who sets a longer one sets this one too.
    query_timeout: 65_000,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
  const pools = new Map<DatabaseRole, pg.Pool>();

  function open(role: DatabaseRole): pg.Pool {
    const pool = new pg.Pool({
      ...settings,
      // From the first statement on, and again after whatever a session resets.
      options: `${common} -c role=${role}`,
      max: config.DB_POOL_SIZE,
      idleTimeoutMillis: 60_000,
    });
    // Without a listener an idle connection that the server closes would end the process.
    pool.on("error", (error) => log.warning("idle database connection lost", { error }));
    pools.set(role, pool);
    return pool;
  }

  return {
    pool: (role) => pools.get(role) ?? open(role),
    connected() {
      const all = [...pools.values()];
      return all.find(({ idleCount }) => idleCount > 0) ?? all.find(({ totalCount }) => totalCount > 0);
    },
    counts() {
      const counts = { idle: 0, busy: 0, waiting: 0 };
      for (const { idleCount, totalCount, waitingCount } of pools.values()) {
        counts.idle += idleCount;
        counts.busy += totalCount - idleCount;
        counts.waiting += waitingCount;
      }
      return counts;
    },
    client: () => new pg.Client(settings),
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.end()));
      await close();
    },
  };
}

/** The URL's own options go before ours: left in it they would stand for them, and the role would be missing. */
function direct(connectionString: string | undefined): pg.ClientConfig {
  const url = connectionString === undefined ? undefined : new URL(connectionString);
  const options = url?.searchParams.get("options");
  if (!url || !options) return { connectionString };
  url.searchParams.delete("options");
  return { connectionString: url.href, options };
}

async function cloudSql(
  config: Config,
  instance: string,
): Promise<{ options: pg.ClientConfig; close(): Promise<void> }> {
  // Loaded only here: the connector costs 40 ms of start that a plain connection does not need.
  const { AuthTypes, Connector, IpAddressTypes } = await import("@google-cloud/cloud-sql-connector");
  const connector = new Connector();
  const options = await connector.getOptions({
    instanceConnectionName: instance,
    ipType: IpAddressTypes[config.DB_IP_TYPE],
    authType: AuthTypes.IAM,
  });
  return {
    options: { ...options, user: config.DB_USER, database: config.DB_NAME },
    close: async () => connector.close(),
  };
}
