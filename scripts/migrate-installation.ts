// Brings the database of an installation on Google Cloud up to date, by its function system-migrate.
//
//   npm run migrate:installation -- --url URL --account DEPLOYER [--audience A] [--patience-seconds 300]
//
// Terraform runs it on every apply that changes migrations or database users.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { baseOf, type Exchanged, exchange, problemOf } from "./exchange.ts";
import { idToken, TokenError } from "./id-token.ts";

const USAGE =
  "usage: npm run migrate:installation -- --url https://… --account SERVICE_ACCOUNT [--audience A] [--patience-seconds 300]";
/** Longer than the function's own 600 s: it is to say itself that it takes too long. */
const ANSWER_MS = 620_000;
const PATH = "/v1/system/migrate";

interface Options {
  /** Of the function system-migrate, or of whatever serves its path. */
  url: string;
  /** The service account that may invoke it. */
  account: string;
  audience: string;
  /** No new attempt after this. */
  patienceSeconds: number;
  /** Before the second attempt (1); each further pause is twice as long, up to 15 s. */
  pauseSeconds?: number;
}

/** An attempt that failed. */
interface Failure {
  message: string;
  mayPass: boolean;
  retryAfterSeconds?: number;
}

if (import.meta.main) {
  try {
    await migrateInstallation(optionsOf(process.argv.slice(2)), console.log);
  } catch (error) {
    console.error(`migrate: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

/**
 * Calls system-migrate until it has migrated, and prints what that changed. What may pass is tried again: a new right
 * takes IAM up to minutes to know everywhere, and the first connection of a new instance can take one.
 * @throws Error in one line when it is not migrated
 */
export async function migrateInstallation(options: Options, print: (line: string) => void): Promise<void> {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  for (let attempt = 0; ; attempt++) {
    const result = await call(options);
    if (!("message" in result)) return report(result, print);
    if (!result.mayPass) throw new Error(result.message);
    const pause = Math.max(Math.min((options.pauseSeconds ?? 1) * 2 ** attempt, 15), result.retryAfterSeconds ?? 0);
    if (seconds() + pause > options.patienceSeconds)
      throw new Error(`${result.message}; given up after ${Math.round(seconds())} s`);
    print(`not yet: ${result.message}; again in ${pause} s`);
    await sleep(pause * 1000);
  }
}

interface Migrated {
  applied: string[];
  version: string;
  granted?: string[];
  revoked?: string[];
}

async function call({ url, account, audience }: Options): Promise<Migrated | Failure> {
  try {
    const token = await idToken({ account, audience });
    const headers = ["Authorization", `Bearer ${token}`];
    const answer = await exchange({ method: "POST", url: url + PATH, headers, timeoutMs: ANSWER_MS });
    return isMigrated(answer) ? (answer.json as Migrated) : failureOf(answer);
  } catch (error) {
    return { message: (error as Error).message, mayPass: error instanceof TokenError ? error.mayPass : true };
  }
}

function isMigrated({ status, json }: Exchanged): boolean {
  const { applied, version } = (json ?? {}) as Partial<Migrated>;
  return status === 200 && Array.isArray(applied) && typeof version === "string";
}

function failureOf(answer: Exchanged): Failure {
  const { status, headers } = answer;
  const problem = problemOf(answer);
  const after = Number(headers["retry-after"]);
  const failure = {
    message: problem ? `${problem.code}: ${problem.detail}` : `${PATH} answers ${status}${hintOf(status)}`,
    // `internal` too: while Cloud SQL does not know the user's rights yet, connecting fails in ways nobody has listed.
    mayPass: problem
      ? [429, 503].includes(status) || problem.code === "internal"
      : [401, 403, 404, 408, 429].includes(status) || status >= 500,
    ...(after > 0 && after <= 60 && { retryAfterSeconds: after }),
  };
  if (problem?.code === "internal") failure.message += " The log of system-migrate says why.";
  return failure;
}

/** Of the platform's own answers, which do not say what to do. */
function hintOf(status: number): string {
  if (status === 401) return ": is the audience right?";
  if (status === 403) return ": the account needs roles/run.invoker on it, and its ingress must let you in";
  if (status === 404) return ": is the URL right, and may you reach it (migrate_ingress)?";
  return status === 200 || (status > 300 && status < 400) ? ", which is not CAMS: is the URL right?" : "";
}

function report({ applied, version, granted = [], revoked = [] }: Migrated, print: (line: string) => void): void {
  for (const name of applied) print(`applied ${name}`);
  for (const grant of granted) print(`granted ${grant}`);
  for (const grant of revoked) print(`revoked ${grant}`);
  print(`the database is at ${version}${applied.length === 0 ? ", as before" : ""}`);
}

function optionsOf(args: string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: { url: text, account: text, audience: text, "patience-seconds": { ...text, default: "300" } },
  });
  const patienceSeconds = Number(values["patience-seconds"]);
  const url = baseOf(values.url);
  if (!values.account || !url || !(patienceSeconds >= 0)) throw new Error(USAGE);
  return { url, account: values.account, audience: values.audience ?? url, patienceSeconds };
}
