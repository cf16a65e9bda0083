import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const held = new Set<DatabaseSync>();

/** Takes the data folder for this process and returns how to give it back, or undefined when another one has it. */
export function takeFolder(dataDir: string): (() => void) | undefined {
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Error(`cannot write to ${dataDir}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  // SQLite gives a file lock that the kernel drops when the process dies, even by SIGKILL; Node has no flock.
  const path = join(dataDir, "lock");
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock?.close();
    const BUSY = 5;
    if ((cause as { errcode?: number }).errcode === BUSY) return undefined;
    throw new Error(`cannot write to ${path}: ${(cause as Error).message}`, { cause });
  }
  const taken = lock;
  held.add(taken);
  return () => {
    if (held.delete(taken)) taken.close();
  };
}

/** Reads the superuser's password, made at random before the first cluster. */
export function readPassword(dataDir: string): string {
  const path = join(dataDir, "postgres.password");
  const stored = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  if (stored) return stored;
  if (existsSync(join(dataDir, "postgres"))) {
    throw new Error(`${path} is missing: restore it, or move ${join(dataDir, "postgres")} away to start empty`);
  }
  const password = randomBytes(24).toString("hex");
  writeFileSync(path, `${password}\n`, { mode: 0o600, flush: true });
  return password;
}
