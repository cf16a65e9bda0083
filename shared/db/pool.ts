import pg from "pg";
import type { Config } from "../config.ts";
import type { Logger } from "../logging/index.ts";
import { types } from "./types.ts";

/** Where connections come from: a pool for statements, and single clients for listening. */
export interface Connections {
  pool: pg.Pool;
  /** A connection of its own, not yet connected. */
  client(): pg.Client;
  close(): Promise<void>;
}

/** Longest a request waits for a free connection, and a connection attempt may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Opens the way to PostgreSQL that the configuration chooses: `INSTANCE_CONNECTION_NAME` through the Cloud SQL connector
 * with IAM authentication, else `DATABASE_URL`. Nothing is connected before the first statement.
 */
export async function openConnections(config: Config, log: Logger): Promise<Connections> {
  const { options, close } = config.INSTANCE_CONNECTION_NAME
    ? await cloudSql(config, config.INSTANCE_CONNECTION_NAME)
    : { options: { connectionString: config.DATABASE_URL }, close: async () => {} };
  const settings: pg.ClientConfig = {
    ...options,
    types,
    application_name: config.FUNCTION_TARGET ?? "cams",
    // Times arrive as text in one form only, whatever the server's defaults are.
    options: "-c TimeZone=UTC -c DateStyle=ISO",
    idle_in_transaction_session_timeout: 10_000,
    statement_timeout: config.DB_STATEMENT_TIMEOUT_SECONDS * 1000,
    // A network that swallows packets: the server's own limit never arrives. Longer than the longest statement (55 s).
    query_timeout: 65_000,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
  const pool = new pg.Pool({ ...settings, max: config.DB_POOL_SIZE, idleTimeoutMillis: 60_000 });
  // Without a listener an idle connection that the server closes would end the process.
  pool.on("error", (error) => log.warning("idle database connection lost", { error }));
  return {
    pool,
    client: () => new pg.Client(settings),
    async close() {
      await pool.end();
      await close();
    },
  };
}

async function cloudSql(config: Config, instance: string) {
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
