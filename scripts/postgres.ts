import { join, resolve } from "node:path";
import { accountFor } from "./postgres/account.ts";
import { findBinaries } from "./postgres/binaries.ts";
import { ensureCluster, SUPERUSER } from "./postgres/cluster.ts";
import { readPassword, takeFolder } from "./postgres/folder.ts";
import { type StopMode, until } from "./postgres/process.ts";
import { alreadyRunning, settlePrevious } from "./postgres/recovery.ts";
import { type Server, startServer } from "./postgres/server.ts";
import { connectOwner, ensureDatabase, unref } from "./postgres/session.ts";

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  idle_in_transaction_session_timeout: "10s",
  TimeZone: "UTC",
  log_timezone: "UTC",
};

/** A PostgreSQL that belongs to this process. */
export interface EmbeddedPostgres {
  url: string;
  port: number;
  pid: number;
  stop(mode?: StopMode): Promise<void>;
  /** Calls `listener` when it ends, asked to or not. */
  onExit(listener: () => void): void;
}

/** What to start: the folder for the data, settings of PostgreSQL, and the database to have. */
export interface PostgresOptions {
  dataDir: string;
  settings?: Record<string, string>;
  database?: string;
}

/** Starts the embedded PostgreSQL on a folder, cleaning up after any earlier run that was killed. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { settings = {}, database = "cams" } = options;
  const dataDir = resolve(options.dataDir);
  // An owner that was killed, or whose PostgreSQL was, needs some milliseconds until its lock is gone.
  const release = await until(() => takeFolder(dataDir), 500);
  if (!release) throw await alreadyRunning(dataDir);
  let server: Server | undefined;
  try {
    const password = readPassword(dataDir);
    const account = accountFor(join(dataDir, "postgres"));
    const binaries = findBinaries(account);
    await ensureCluster(dataDir, binaries, account, password);
    server = await startServer({
      program: binaries.postgres,
      dataDir,
      account,
      settings: { ...SETTINGS, ...settings },
      settle: () => settlePrevious(dataDir, password),
    });
    const owner = await connectOwner(server.port, password);
    await ensureDatabase(owner, database);
    unref(owner);
    const started = server;
    // A service whose PostgreSQL was killed may start it anew in the same process.
    started.onExit(release);
    const stop = async (mode: StopMode = "fast") => {
      // Not awaited: a PostgreSQL that hangs would never confirm the end of the session.
      owner.end().catch(() => {});
      await started.stop(mode);
      release();
    };
    const url = `postgresql://${SUPERUSER}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`;
    return { url, port: server.port, pid: server.pid, stop, onExit: started.onExit };
  } catch (error) {
    await server?.stop("fast");
    release();
    if ((error as { code?: string }).code !== "28P01") throw error;
    throw new Error(`the password in ${join(dataDir, "postgres.password")} does not fit its cluster`, { cause: error });
  }
}
