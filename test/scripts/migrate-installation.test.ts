import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { migrateInstallation } from "../../scripts/migrate-installation.ts";
import { useGuardedService } from "../support/callers.ts";
import { type Asked, startGoogleApi } from "../support/google.ts";
import { type FakeMetadata, startMetadata } from "../support/pubsub.ts";

const guarded = useGuardedService();
const account = "cams-deployer@p.iam.gserviceaccount.com";

let metadata: FakeMetadata;
let iam: Asked[];
/** What IAM answers in the place of a token. */
let refusals: { status: number; message: string }[];

beforeEach(async () => {
  metadata = await startMetadata();
  refusals = [];
  iam = await startGoogleApi("IAM_CREDENTIALS_ENDPOINT", async () => {
    const refusal = refusals.shift();
    if (refusal) return { status: refusal.status, body: { error: { message: refusal.message } } };
    return { status: 200, body: { token: (await guarded.systemToken()).authorization?.slice("Bearer ".length) } };
  });
});

type Answer = [status: number, body: unknown, headers?: Record<string, string>] | "closed";
const migrated: Answer = [200, { applied: [], version: "0011_audit", partitionsMade: 0 }];
const problem = (status: number, code: string): Answer => [
  status,
  { code, detail: "Why." },
  { "Content-Type": "application/problem+json" },
];

/** A function that gives these answers one after the other, then always the last. */
async function startFunction(...answers: Answer[]) {
  const seen: (string | undefined)[] = [];
  const server = createServer((req, res) => {
    seen.push(`${req.method} ${req.url} ${req.headers.authorization?.slice(0, 9)}`);
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) as Answer;
    if (answer === "closed") return req.destroy();
    const [status, body, headers] = answer;
    res.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Migrates without long pauses; answers what was printed, the error's message last. */
async function migrate(url: string, patienceSeconds = 20): Promise<string[]> {
  const lines: string[] = [];
  const options = { url, account, audience: "https://cams.example", patienceSeconds, pauseSeconds: 0.01 };
  await migrateInstallation(options, (line) => lines.push(line)).catch(({ message }) => lines.push(`Error ${message}`));
  return lines;
}

test("the installation migrates, asked by the deployer", async () => {
  expect(await migrate(guarded.service.url)).toEqual([
    expect.stringMatching(/^the database is at \d{4}_\w+, as before$/),
  ]);
  expect(iam).toMatchObject([
    {
      path: `/v1/projects/-/serviceAccounts/${account}:generateIdToken`,
      authorization: "Bearer token-1",
      body: { audience: "https://cams.example", includeEmail: true },
    },
  ]);
  expect(metadata.asked).toEqual(["https://www.googleapis.com/auth/cloud-platform"]);
});

test("what was applied, granted and revoked is said", async () => {
  const body = {
    applied: ["0001_schema"],
    version: "0001_schema",
    granted: ["a=cams_agent"],
    revoked: ["b=cams_agent"],
  };
  const { url, seen } = await startFunction([200, body]);
  expect(await migrate(url)).toEqual([
    "applied 0001_schema",
    "granted a=cams_agent",
    "revoked b=cams_agent",
    "the database is at 0001_schema",
  ]);
  expect(seen).toEqual(["POST /v1/system/migrate Bearer ey"]);
});

test.each<[string, Answer]>([
  ["the platform's 401", [401, "Unauthorized"]],
  ["the platform's 403, while IAM tells everybody", [403, "<html>"]],
  ["the platform's 404, while the function starts to be known", [404, "<html>"]],
  ["429", [429, ""]],
  ["the platform's 500", [500, "<html>"]],
  ["503 of the service", problem(503, "database_unavailable")],
  ["a problem that nobody foresaw", problem(500, "internal")],
  ["a connection that is closed", "closed"],
])("%s is waited out", async (_, answer) => {
  const { url, seen } = await startFunction(answer, migrated);
  expect(await migrate(url)).toEqual([expect.stringMatching(/^not yet: /), "the database is at 0011_audit, as before"]);
  expect(seen).toHaveLength(2);
});

test("a right to impersonate the deployer that IAM does not know yet is waited out", async () => {
  refusals = [
    { status: 403, message: "Permission 'iam.serviceAccounts.getOpenIdToken' denied\nmore" },
    { status: 404, message: "Not found" },
  ];
  const { url } = await startFunction(migrated);
  expect(await migrate(url)).toEqual([
    `not yet: no ID token of ${account}: you need roles/iam.serviceAccountOpenIdTokenCreator on it (Permission ` +
      "'iam.serviceAccounts.getOpenIdToken' denied); again in 0.01 s",
    `not yet: no ID token of ${account}: there is no such account (Not found); again in 0.02 s`,
    "the database is at 0011_audit, as before",
  ]);
});

test.each<[string, Answer, string]>([
  ["a schema that is newer than the code", problem(409, "schema_newer"), "Error schema_newer: Why."],
  ["a caller who is not the deployer", problem(403, "forbidden"), "Error forbidden: Why."],
  ["another service", [200, "<html>"], "Error /v1/system/migrate answers 200, which is not CAMS: is the URL right?"],
  ["a redirect", [302, ""], "Error /v1/system/migrate answers 302, which is not CAMS: is the URL right?"],
])("%s is final", async (_, answer, line) => {
  const { url, seen } = await startFunction(answer, migrated);
  expect(await migrate(url)).toEqual([line]);
  expect(seen).toHaveLength(1);
});

test("credentials that IAM does not take are final", async () => {
  refusals = [{ status: 401, message: "Invalid" }];
  const { url, seen } = await startFunction(migrated);
  expect(await migrate(url)).toEqual([
    `Error no ID token of ${account}: the Google credentials are not taken: run: gcloud auth application-default login (Invalid)`,
  ]);
  expect(seen).toEqual([]);
});

test("what does not pass ends with the patience, in one line that says why", async () => {
  const { url } = await startFunction([403, "<html>"]);
  const lines = await migrate(url, 0.1);
  expect(lines.at(-1)).toMatch(
    /^Error \/v1\/system\/migrate answers 403: the account needs roles\/run.invoker .*; given up after \d s$/,
  );
});

test("the pause that the service asks for is kept", async () => {
  const { url } = await startFunction([503, "", { "Retry-After": "7" }]);
  expect(await migrate(url, 5)).toEqual([expect.stringMatching(/^Error .* answers 503; given up after \d s$/)]);
});

/** As `npm run migrate:installation -- …`; answers the exit code and what it printed. */
async function command(args: string[], env: Record<string, string> = {}): Promise<[code: number, output: string]> {
  const script = new URL("../../scripts/migrate-installation.ts", import.meta.url).pathname;
  const run = promisify(execFile)(process.execPath, [script, ...args], { env: { ...process.env, ...env } });
  const {
    stdout,
    stderr,
    code = 0,
  }: { stdout: string; stderr: string; code?: number } = await run.catch((error) => error);
  return [code, `${stdout}${stderr}`.trim()];
}

test("from the command line: 0 when migrated, 1 and one line when not", async () => {
  const { url } = await startFunction(migrated);
  expect(await command(["--url", url, "--account", account])).toEqual([0, "the database is at 0011_audit, as before"]);
  expect(iam[0]?.body).toMatchObject({ audience: url });
  for (const args of [
    ["--url", url],
    ["--url", "localhost:8080", "--account", account],
  ])
    expect(await command(args)).toEqual([1, expect.stringMatching(/^migrate: usage: npm run .*$/)]);
  expect(
    await command(["--url", url, "--account", account], { GCE_METADATA_HOST: "", METADATA_SERVER_DETECTION: "none" }),
  ).toEqual([
    1,
    expect.stringMatching(/^migrate: no Google credentials \(.*\): run: gcloud auth application-default login$/),
  ]);
});
