import { rmSync } from "node:fs";
import { join } from "node:path";
import { readPassword } from "./folder.ts";
import { isAlive, type PidFile, readPidFile, servesCluster, stopServer, until } from "./process.ts";
import { connect, findOwner, usesCluster } from "./session.ts";

/** Makes the line for a second start from one folder, with the owner's process id if its database tells it. */
export async function alreadyRunning(dataDir: string): Promise<Error> {
  const running = readPidFile(join(dataDir, "postgres"));
  let who = "another process";
  try {
    const found = running && (await inspect(running, dataDir, readPassword(dataDir)));
    if (found?.owner) who = `process ${found.owner}`;
  } catch {}
  return new Error(`cams is already running from this folder (${dataDir}, ${who})`);
}

/** Deals with what an earlier run left behind: an orphaned PostgreSQL is stopped, a stale postmaster.pid removed. */
export async function settlePrevious(dataDir: string, password: string): Promise<void> {
  const cluster = join(dataDir, "postgres");
  const previous = readPidFile(cluster);
  // PostgreSQL itself ignores a postmaster.pid whose process is dead.
  if (!previous || !isAlive(previous.pid)) return;
  const file = join(cluster, "postmaster.pid");
  const known = servesCluster(previous.pid, cluster);
  // After the restart of a container, the old process id may be that of a shell: PostgreSQL would refuse to start.
  if (known === false) return rmSync(file, { force: true });
  let found: Inspection | undefined;
  // The session of an owner killed a moment ago can outlive it by some milliseconds.
  const free = await until(async () => {
    found = await inspectPatiently(previous, dataDir, password);
    return !found?.owner;
  }, 1000);
  if (!free) throw await alreadyRunning(dataDir);
  if (known || found?.same) return stopServer(previous.pid, "fast");
  // It answers and uses another folder: this one is a copy, made while the original was running.
  if (found) return rmSync(file, { force: true });
  throw new Error(
    `process ${previous.pid} may be a PostgreSQL of this folder: stop it, or remove ${file} if it is not`,
  );
}

interface Inspection {
  same: boolean;
  owner: string | undefined;
}

async function inspect(running: PidFile, dataDir: string, password: string): Promise<Inspection> {
  const client = await connect(running.port, password, "cams-start");
  try {
    const same = await usesCluster(client, join(dataDir, "postgres"));
    return { same, owner: same ? await findOwner(client) : undefined };
  } finally {
    await client.end();
  }
}

/** An orphan in crash recovery answers "starting up" (57P03) until it is done; any other refusal is final. */
async function inspectPatiently(running: PidFile, dataDir: string, password: string): Promise<Inspection | undefined> {
  let found: Inspection | undefined;
  await until(async () => {
    try {
      found = await inspect(running, dataDir, password);
    } catch (error) {
      return (error as { code?: string }).code !== "57P03";
    }
    return true;
  }, 60_000);
  return found;
}
