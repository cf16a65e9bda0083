// No static imports, no syntax newer than Node 12: an old Node must reach the line that says it is too old.
async function main() {
  if (Number(process.versions.node.split(".")[0]) < 20) {
    console.error(`cams needs Node 20 or newer, this is ${process.version}: see https://nodejs.org`);
    return 1;
  }
  const { existsSync, readFileSync, writeFileSync } = await import("node:fs");
  const { createHash } = await import("node:crypto");
  const { fileURLToPath } = await import("node:url");
  const root = fileURLToPath(new URL("..", import.meta.url));
  const stampFile = `${root}node_modules/.cams-lock`;
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const lockText = readFileSync(`${root}package-lock.json`, "utf8");
  // The platform is part of it: a node_modules carried from macOS into a Linux container has the wrong binaries.
  const stamp = `${sha256(lockText)} ${process.platform}-${process.arch}\n`;
  const upToDate = () => existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp;
  if (upToDate()) return 0;
  return withLock(`cams-install-${sha256(root).slice(0, 16)}`, async (lock) => {
    if (upToDate()) return 0;
    console.log("installing dependencies (once) …");
    const code = await npmCi(root, (pid) => writeFileSync(`${lock}/npm`, `${pid}`));
    if (code === 0) writeFileSync(stampFile, stamp);
    else console.error(`npm ci failed (exit code ${code}): see the lines above, then start again`);
    return code;
  });
}

async function npmCi(root, started) {
  const { spawn } = await import("node:child_process");
  // Under "npm start" this Node may be node_modules/node, which npm ci deletes: npm's own Node is the one that stays.
  const node = process.env.npm_node_execpath || process.execPath;
  // The service needs its dev dependencies (PostgreSQL, Node 24), also where NODE_ENV=production would omit them.
  const args = ["ci", "--no-audit", "--no-fund", "--include=dev", "--loglevel=error", "--no-progress"];
  const options = { cwd: root, stdio: ["ignore", "ignore", "inherit"] };
  const child = process.env.npm_execpath
    ? spawn(node, [process.env.npm_execpath, ...args], options)
    : spawn("npm", args, { ...options, shell: process.platform === "win32" });
  if (child.pid) started(child.pid);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("error", (error) => {
      console.error(`cannot run npm: ${error.message}`);
      resolve(1);
    });
    child.on("exit", (code) => resolve(code === null ? 1 : code));
  });
}

/** Runs one installer at a time; the lock lives outside node_modules because npm ci empties that folder. */
async function withLock(name, work) {
  const { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } = await import("node:fs");
  const { tmpdir } = await import("node:os");
  const { join } = await import("node:path");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const lock = join(tmpdir(), `${name}-${process.getuid ? process.getuid() : "user"}`);
  const npmRuns = (file) => {
    try {
      return process.kill(Number(readFileSync(file, "utf8")), 0);
    } catch {
      return false;
    }
  };
  for (let waiting = false; ; waiting = true) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!waiting) console.log("waiting for another installation in this folder …");
    try {
      // The holder touches its lock every second: 5 s of silence means that it was killed. Its npm may still be at
      // work; after 120 s the process with that id is another one.
      const silence = Date.now() - statSync(lock).mtimeMs;
      if (silence > (npmRuns(`${lock}/npm`) ? 120_000 : 5000)) {
        const stale = `${lock}-stale-${process.pid}-${Date.now()}`;
        renameSync(lock, stale);
        rmSync(stale, { recursive: true });
      }
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
    await sleep(100);
  }
  const heartbeat = setInterval(() => utimesSync(lock, new Date(), new Date()), 1000);
  try {
    return await work(lock);
  } finally {
    clearInterval(heartbeat);
    rmSync(lock, { recursive: true, force: true });
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(`cannot install the dependencies: ${error.message}`);
    process.exitCode = 1;
  },
);
