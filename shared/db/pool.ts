import pg from "pg";
import type { Config } from "../config.ts";
import type { Logger } from "../logging/index.ts";
import type { DatabaseRole } from "../rules/access.ts";
import type { Patience } from "./patience.ts";
import { types } from "./types.ts";

/** What statements need of a pool: `pg.Pool` is one. */
export interface Pool {
  connect(): Promise<pg.PoolClient>;
  query(statement: pg.QueryArrayConfig): Promise<pg.QueryArrayResult>;
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>;
}

/** Where connections come from: a pool for the statements of each database role, and single clients. */
export interface Connections {
  /** Opened when it is first asked for. */
  pool(role: DatabaseRole): Pool;
  /** A pool that has connections, whatever its role; best one with a connection to spare. */
  connected(): Pool | undefined;
  /** Connections of all pools, and requests for one that wait. */
  counts(): { idle: number; busy: number; waiting: number };
  /**
   * A connection of its own, connected, without a role: to listen, or to migrate. Who is patient has a failed attempt
   * repeated as a pool would.
   */
  client(patient?: boolean): Promise<pg.Client>;
  close(): Promise<void>;
}

const IDLE_TOO_LONG = "57P05";
/** Longest a request waits for a free connection, and a connection attempt may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Times arrive as text in one form only, whatever the server's defaults are. For the audit it is the service itself that
 * changes something, unless a transaction names the caller.
 */
const OPTIONS = "-c TimeZone=UTC -c DateStyle=ISO -c cams.actor=cams -c cams.source=cams";

/**
 * Opens the way to PostgreSQL that the configuration chooses: `INSTANCE_CONNECTION_NAME` through the Cloud SQL connector
 * with IAM authentication, else `DATABASE_URL`. Nothing is connected before the first statement; the connector begins to
 * bring its certificate, for which the first connection waits. `onNotice` is told what the server says beside its answers.
 */
export async function openConnections(
  config: Config,
  log: Logger,
  onNotice: (role: DatabaseRole, message: string) => void = () => {},
): Promise<Connections> {
  const { options, patience, close } = config.INSTANCE_CONNECTION_NAME
    ? await cloudSql(config, config.INSTANCE_CONNECTION_NAME, log)
    : direct(config.DATABASE_URL);
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
  const pools = new Map<DatabaseRole, { own: pg.Pool; pool: Pool }>();

  function open(role: DatabaseRole): Pool {
    const own = new pg.Pool({
      ...settings,
      // From the first statement on, and again after whatever a session resets.
      options: `${common} -c role=${role}`,
      max: config.DB_POOL_SIZE,
      idleTimeoutMillis: 60_000,
    });
    // Without a listener an idle connection that the server closes would end the process.
    own.on("error", (error) => {
      const severity = (error as { code?: string }).code === IDLE_TOO_LONG ? "debug" : "warning";
      log[severity]("idle database connection lost", { error });
    });
    // Nor does a pool listen while a connection is in use: one that broke in a transaction would end the process.
    own.on("connect", (client) => {
      client.on("error", () => {});
      client.on("notice", ({ message = "" }) => onNotice(role, message));
    });
    const pool = patience ? patience.pool(own) : own;
    pools.set(role, { own, pool });
    return pool;
  }

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client(settings);
    // Without a listener one that breaks, in the middle of a migration or given up just before, would end the process.
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      void client.end().catch(() => {});
      throw error;
    }
  }

  return {
    pool: (role) => pools.get(role)?.pool ?? open(role),
    connected() {
      // Not the patient ones: a hint that cannot be sent now is not worth waiting for.
      const all = [...pools.values()].map(({ own }) => own);
      return all.find(({ idleCount }) => idleCount > 0) ?? all.find(({ totalCount }) => totalCount > 0);
    },
    counts() {
      const counts = { idle: 0, busy: 0, waiting: 0 };
      for (const { own } of pools.values()) {
        counts.idle += own.idleCount;
        counts.busy += own.totalCount - own.idleCount;
        counts.waiting += own.waitingCount;
      }
      return counts;
    },
    client: (patient = false) => patience?.client(connect, patient) ?? connect(),
    async close() {
      await Promise.all([...pools.values()].map(({ own }) => own.end()));
      close?.();
    },
  };
}

/** A way to PostgreSQL: how to connect, and with what patience; without it a failed attempt is not repeated. */
interface Way {
  options: pg.ClientConfig;
  patience?: Patience;
  close?(): void;
}

/** The URL's own options go before ours: left in it they would stand for them, and the role would be missing. */
function direct(connectionString: string | undefined): Way {
  const url = connectionString === undefined ? undefined : new URL(connectionString);
  const options = url?.searchParams.get("options");
  if (!url || !options) return { options: { connectionString } };
  url.searchParams.delete("options");
  return { options: { connectionString: url.href, options } };
}

/** Loaded only here: the connector costs 40 ms of start that a plain connection does not need. */
async function cloudSql(config: Config, instance: string, log: Logger): Promise<Way> {
  const [{ openCloudSql }, { patienceWith }] = await Promise.all([import("./cloud-sql.ts"), import("./patience.ts")]);
  const { ready, stream, renew, close } = openCloudSql(config, instance, log);
  return {
    // The stream is encrypted already, whatever PGSSLMODE says.
    options: { user: config.DB_USER, database: config.DB_NAME, ssl: false, stream },
    patience: patienceWith({ ready, renew }),
    close,
  };
}
