import pg from "pg";
import { endpoints } from "../functions/index.ts";
import { callsThrough } from "../scripts/build/calls.ts";
import type { Answered, Ask } from "../scripts/build/run.ts";
import type { Bench, Context, Row } from "./support/bench.ts";
import { type Bundled, buildBundled } from "./support/bundled.ts";
import { addressOf, fillInboxes } from "./support/rows.ts";
import { type Case, type Contender, measure } from "./support/turns.ts";

/** What is asked first of functions that are started from their sources too. */
const ASKED = [
  { target: "inboxes-get", method: "GET", path: `/v1/agent-inboxes/${addressOf(1)}` },
  { target: "system-live", method: "GET", path: "/health/live" },
  { target: "messages-pull", method: "POST", path: `/v1/agent-inboxes/${addressOf(1)}/messages/pull` },
];

/** What functions are made of: first what every start loads, then what is loaded when it is needed. */
const LIBRARIES = [
  "zod",
  "pg",
  "winston/lib/winston/create-logger.js",
  "winston",
  "jose/jwt/decode",
  "lru-cache",
  "rate-limiter-flexible/lib/RateLimiterMemory.js",
  "jose/jwt/verify",
  "prom-client",
  "@google-cloud/cloud-sql-connector",
  "google-auth-library",
  "@google-cloud/logging-winston",
  "node-pg-migrate",
];

/** From starting a process to its first answer, function by function; and what of it is whose. */
export const coldStart: Bench = {
  name: "cold-start",
  summary: "process start to first answer under the framework's command line, each function as it is deployed",
  async run(context) {
    const database = await context.database();
    await fillInboxes(database, 10);
    const names = context.quick ? ASKED.map(({ target }) => target) : undefined;
    const bundled = await buildBundled(context, names, LIBRARIES);
    const hello = { name: "framework hello", turn: () => bundled.start("hello", { method: "GET", path: "/" }) };
    const prepare = await prepareThrough(context, database);
    const cases = Object.keys(bundled.manifest.functions).map((name) => {
      const endpoint = endpoints.find((endpoint) => endpoint.name === (name === "cams" ? "inboxes-list" : name));
      if (!endpoint) throw new Error(`no endpoint is called ${name}`);
      const turn = async () => bundled.start(name, await prepare(endpoint), database.url);
      return caseOf(name, { name, turn }, hello);
    });
    const sources = ASKED.map((asked) =>
      caseOf(`${asked.target}, unbundled`, fromSources(bundled, asked, database.url), hello),
    );
    const rounds = context.quick ? 1 : 5;
    const rows = await measure([...cases, ...sources, caseOf("framework hello", hello)], rounds, context.progress);
    return [...withSizes(rows, bundled), ...(await loads(context, bundled))];
  },
};

function caseOf(what: string, measured: Contender, ...yardsticks: Contender[]): Case {
  return { what, unit: "ms", measured, yardsticks };
}

/** Calls that must succeed, prepared through the service in a process of its own. */
async function prepareThrough(context: Context, database: Awaited<ReturnType<Context["database"]>>) {
  const service = await context.service(database);
  const owner = new pg.Client(database.url);
  await owner.connect();
  context.defer(() => owner.end());
  const ask = async ({ method, path, body, headers }: Ask): Promise<Answered> => {
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await fetch(service.url + path, {
      method,
      headers: { ...type, ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: {}, body: text === "" ? undefined : JSON.parse(text) };
  };
  return callsThrough(ask, owner);
}

function fromSources(bundled: Bundled, { target, ...asked }: (typeof ASKED)[number], databaseUrl: string): Contender {
  return { name: target, turn: () => bundled.startFromSources(target, asked, databaseUrl) };
}

/** Adds what is downloaded and what of it a start evaluates. */
function withSizes(rows: readonly Row[], { manifest }: Bundled): Row[] {
  return rows.map((row) => {
    const built = manifest.functions[row.what];
    if (!built) return row;
    const sizes = { "bundle KB": Math.round(built.bundleBytes / 1024), "zip KB": Math.round(built.bytes / 1024) };
    return { ...row, extra: { ...row.extra, ...sizes } };
  });
}

/** Each package alone, in a process that has loaded nothing: together they cost less, as they share some of Node. */
function loads(context: Context, bundled: Bundled): Promise<Row[]> {
  const alone = LIBRARIES.map((name) => ({ name, turn: () => bundled.load(name) }));
  const [first] = alone;
  const cases = alone.map((library) => caseOf(`load ${library.name}`, library, ...(first ? [first] : [])));
  return measure(cases, context.quick ? 1 : 11, context.progress);
}
