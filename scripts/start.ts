import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { http } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { type App, compose } from "../functions/compose.ts";
import { endpoints } from "../functions/index.ts";
import { readConfig } from "../shared/config.ts";
import { migrate } from "../shared/db/migrate.ts";
import { Problem } from "../shared/errors.ts";
import { takeOver } from "../shared/http/takeover.ts";
import { loadWithin } from "./definitions/within.ts";
import { listen, portTaken } from "./listen.ts";
import { type EmbeddedPostgres, startPostgres } from "./postgres.ts";
import { startScheduler } from "./scheduler.ts";

const HOST = "127.0.0.1";
const root = resolve(import.meta.dirname, "..");

async function main(): Promise<void> {
  const port = readPort(process.env.PORT);
  const dataDir = resolve(process.env.CAMS_DATA_DIR || join(root, ".data"));
  const definitions = process.env.CAMS_DEFINITIONS ?? relative(".", join(root, "examples/definitions"));
  // Before the database is touched: a second start with the same port must not disturb the first.
  if (await portTaken(HOST, port)) throw new Error(`port ${port} is taken: set PORT to another one`);

  const database = process.env.DATABASE_URL ? undefined : await startPostgres({ dataDir });
  let app: App | undefined;
  const server = { current: undefined as ReturnType<typeof getTestServer> | undefined };
  let ending: Promise<void> | undefined;
  const end = (code: number) => {
    ending ??= stop(app, server.current, database).then(() => {
      if (code === 0) console.log("cams has ended");
      process.exit(code);
    });
    return ending;
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => end(0));
  endWithNpm(() => end(0));
  database?.onExit(() => {
    if (!ending) console.error("cams ends: its PostgreSQL is gone");
    void end(1);
  });

  try {
    const config = readConfig({
      LOG_FORMAT: process.stdout.isTTY ? "text" : "json",
      AUTH_MODE: "none",
      // This is one's own machine: a webhook may be a server on the next port.
      ALLOW_INSECURE_DESTINATIONS: "true",
      // Nobody pays for the time it waits: the next call begins when this one ends.
      DELIVER_SECONDS: "60",
      ...process.env,
      SECRETS_KEY: process.env.SECRETS_KEY || secretsKey(dataDir),
      DATABASE_URL: database?.url ?? process.env.DATABASE_URL,
    });
    app = await compose(config);
    await migrate(app.client, { grants: config.DATABASE_GRANTS });
    await app.repo.system.makePartitions();
    if (definitions) await loadWithin(app, definitions);
    const handler = app.serve(endpoints);
    http("cams", handler);
    server.current = getTestServer("cams");
    takeOver(server.current, handler);
    const url = await listen(server.current, HOST, port);
    startScheduler(app);
    console.log(welcome(url, config.AUTH_MODE === "none" ? "" : ` -H "X-Cams-Key: $CAMS_KEY"`));
  } catch (error) {
    console.error(lineOf(error));
    await end(1);
  }
}

/** The key that encrypts webhooks' secrets on this machine, made once. */
function secretsKey(dataDir: string): string {
  const file = join(dataDir, "secrets.key");
  const stored = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  if (stored) return stored;
  const key = randomBytes(32).toString("base64");
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(file, `${key}\n`, { mode: 0o600, flush: true });
  return key;
}

async function stop(app: App | undefined, server: Parameters<App["close"]>[0], database: EmbeddedPostgres | undefined) {
  try {
    await app?.close(server);
  } finally {
    await database?.stop();
  }
}

/** Under `npm start`, a killed npm (or its shell) leaves us behind with the port: whoever lost its parents ends. */
function endWithNpm(end: () => void): void {
  if (!process.env.npm_lifecycle_event) return;
  const parents = parentsNow();
  setInterval(() => parentsNow() !== parents && end(), 500).unref();
}

/** Our parent and, where it can be read (Linux), its parent: npm runs a script through a shell. */
function parentsNow(): string {
  try {
    // The name, in parentheses, may hold anything; after it stand the state and the parent.
    const [, grandparent] = readFileSync(`/proc/${process.ppid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return `${process.ppid} ${grandparent}`;
  } catch {
    return `${process.ppid}`;
  }
}

function readPort(text: string | undefined): number {
  const port = Number(text || 8080);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new Error(`PORT must be a port number, not ${text}`);
}

function lineOf(error: unknown): string {
  const { message } = error as Error;
  const code = error instanceof Problem ? undefined : (error as NodeJS.ErrnoException).code;
  return `cams cannot start: ${code && !message.includes(code) ? `${code} ` : ""}${message.split("\n")[0]}`;
}

/** `credential` is what a call needs beside what it asks for. */
function welcome(url: string, credential: string): string {
  return [
    `cams ready on ${url}`,
    "",
    "Try:",
    `  curl -s ${url}/v1/agent-inboxes${credential} -H 'content-type: application/json' -d '{"aiAgentAddress":"me@example","inboxDestinationType":"PULL_QUEUE"}'`,
    `  curl -s ${url}/v1/messages${credential} -H 'content-type: application/json' -d '{"recipientAddress":"me@example","senderAddress":"you@example","payload":{"hello":"world"}}'`,
    `  curl -s ${url}/v1/agent-inboxes/me@example/messages/pull${credential} -d '' -X POST`,
    `  curl -s ${url}/v1/definitions${credential}`,
    `  ${url}/docs   the whole API`,
    "  npm run demo   two agents talking",
  ].join("\n");
}

main().catch((error) => {
  console.error(lineOf(error));
  process.exit(1);
});
