import { chownSync, closeSync, existsSync, lchownSync, openSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const NOBODY = 65534;

/** The user that PostgreSQL runs as when CAMS runs as root, which PostgreSQL refuses to be. */
export interface Account {
  uid: number;
  gid: number;
}

/** Tells which account must run PostgreSQL: none unless we are root, then the owner of the cluster or nobody. */
export function accountFor(cluster: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  // "sudo npm start" on a user's own clone must leave it a cluster that the user can start again.
  const owner = existsSync(cluster) ? statSync(cluster) : undefined;
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const account = { uid: NOBODY, gid: NOBODY };
  if (owner) giveTo(cluster, account);
  return account;
}

/** Makes the account the owner of a folder and of everything in it. */
export function giveTo(folder: string, account: Account | undefined): void {
  if (!account) return;
  chownSync(folder, account.uid, account.gid);
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    lchownSync(join(folder, name), account.uid, account.gid);
  }
}

/** A folder in the form in which a spawned process can open it. */
export interface Handed {
  path: string;
  stdio: number[];
  close(): void;
}

/** Makes a folder usable by the account, even below a directory that it may not traverse such as /root. */
export function handOver(folder: string, account: Account | undefined): Handed {
  if (!account || process.platform !== "linux") return { path: folder, stdio: [], close: () => {} };
  // The link /proc/self/fd/3 leads to the open folder itself: no permission on /root is asked for.
  const descriptor = openSync(folder, "r");
  return { path: "/proc/self/fd/3", stdio: [descriptor], close: () => closeSync(descriptor) };
}

/** The spawn options that switch to the account and keep the caller's PG* variables out. */
export function spawnOptions(
  account: Account | undefined,
): { env: NodeJS.ProcessEnv; cwd?: string } & Partial<Account> {
  const { PATH, SystemRoot, TEMP } = process.env;
  return { env: { PATH, SystemRoot, TEMP, TZ: "UTC", LC_ALL: "C" }, ...(account && { ...account, cwd: "/" }) };
}
