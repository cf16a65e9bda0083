import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Account, giveTo, handOver, spawnOptions } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { until } from "./process.ts";

/** The superuser of every embedded cluster. */
export const SUPERUSER = "cams";

const LOCALE = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];

/** Makes sure that the folder holds a whole cluster of our PostgreSQL version. */
export async function ensureCluster(
  dataDir: string,
  binaries: Binaries,
  account: Account | undefined,
  password: string,
): Promise<void> {
  const cluster = join(dataDir, "postgres");
  const halfMade = readdirSync(dataDir).filter((name) => name.startsWith("postgres.new-"));
  for (const name of halfMade) await removeBusy(join(dataDir, name));
  if (existsSync(cluster) && readdirSync(cluster).length > 0) {
    checkVersion(cluster, binaries.major);
    // PostgreSQL refuses a cluster that others may read, as "cp -r" of a whole clone leaves it.
    if ((statSync(cluster).mode & 0o027) !== 0) chmodSync(cluster, 0o700);
    return;
  }
  // The name is new each time: an initdb that outlived its killed starter must not write into our attempt.
  const attempt = join(dataDir, `postgres.new-${randomUUID()}`);
  try {
    mkdirSync(attempt, { mode: 0o700 });
    writeFileSync(join(attempt, "password"), password, { mode: 0o600 });
    giveTo(attempt, account);
    await initdb(attempt, binaries, account);
    renameSync(join(attempt, "data"), cluster);
    syncFolder(dataDir);
  } finally {
    rmSync(attempt, { recursive: true, force: true });
  }
}

/** An initdb that outlived its killed starter adds and removes files meanwhile, on which a removal gives up. */
async function removeBusy(folder: string): Promise<void> {
  await until(() => {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {}
    return !existsSync(folder);
  }, 2000);
}

function checkVersion(cluster: string, major: string): void {
  const file = join(cluster, "PG_VERSION");
  const found = existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
  if (found === major) return;
  const what = found ? `a cluster of PostgreSQL ${found}, this is PostgreSQL ${major}` : "not a PostgreSQL cluster";
  throw new Error(`${cluster} is ${what}: move it away, or start cams from another folder`);
}

async function initdb(attempt: string, binaries: Binaries, account: Account | undefined): Promise<void> {
  const handed = handOver(attempt, account);
  const args = ["-D", `${handed.path}/data`, "-U", SUPERUSER, `--pwfile=${handed.path}/password`, ...LOCALE];
  const child = spawn(binaries.initdb, [...args, "--auth=scram-sha-256"], {
    ...spawnOptions(account),
    stdio: ["ignore", "ignore", "pipe", ...handed.stdio],
  });
  handed.close();
  let output = "";
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const outcome = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  if (outcome === undefined) return;
  const lines = output.trim().split("\n");
  const reason = lines.find((line) => /error|fatal/i.test(line)) ?? (lines[0] || outcome);
  throw new Error(`cannot make the PostgreSQL cluster: ${reason}`, { cause: output || outcome });
}

/** Without it a power cut may forget the rename while later commits in the cluster were already acknowledged. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
