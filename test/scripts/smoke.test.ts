import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { createClient, principalOf } from "../../scripts/smoke/client.ts";
import { runChecks } from "../../scripts/smoke/run.ts";
import { useGuardedService } from "../support/callers.ts";
import { startGoogleApi } from "../support/google.ts";
import { type Meddling, type Passing, type Returning, startFront } from "../support/http-front.ts";
import { AUDIENCE, stripped } from "../support/issuer.ts";
import { startMetadata } from "../support/pubsub.ts";
import { startService } from "../support/service.ts";

const guarded = useGuardedService();
const key = () => guarded.key("agent")["x-cams-key"] as string;
const adminKey = () => guarded.key("admin")["x-cams-key"] as string;

/** Makes all checks through a front that meddles; answers the lines of those that failed. */
async function failures(meddling: Meddling, url = guarded.service.url): Promise<string[]> {
  const lines = await smoke(await startFront(url, meddling));
  return lines.filter((line) => line.startsWith("FAILED")).map((line) => line.replace(/^FAILED +/, ""));
}

async function smoke(url: string, installation: object = {}): Promise<string[]> {
  const lines: string[] = [];
  const given = { client: createClient(url, { key: key() }), audience: AUDIENCE, principal: "agent" };
  const limits = { waitSeconds: 0, patienceSeconds: 0, scheduler: undefined };
  await runChecks({ ...given, ...limits, ...installation }, (line) => lines.push(line)).checked;
  return lines;
}

async function leftBehind(): Promise<unknown[]> {
  return guarded.service.sql("select ai_agent_address from cams.agent_inboxes");
}

function has({ headers }: Passing, name: string): boolean {
  return headers.some(([given]) => given.toLowerCase() === name);
}

/** The same request by another caller. */
function as(passing: Passing, name: string, value: string): Passing {
  const others = passing.headers.filter(([given]) => !/authorization$|^x-cams-key$/i.test(given));
  return { ...passing, headers: [...others, [name, value]] };
}

const page: Returning = { status: 404, type: "text/html", body: "<html></html>" };
const unchanged = (passing: Passing) => passing;
const onlyFirst = ({ headers, ...rest }: Passing) => ({
  ...rest,
  headers: headers.filter(([name], at) => headers.findIndex(([other]) => other === name) === at),
});
const onlyLast = ({ headers, ...rest }: Passing) => ({
  ...rest,
  headers: headers.filter(([name], at) => headers.findLastIndex(([other]) => other === name) === at),
});

const broken: [name: string, fails: string, meddling: Meddling][] = [
  ["a process that fails", "the process answers", { request: at("/health/live", { ...page, status: 500 }) }],
  ["another process", "the process answers", { request: at("/health/live", { ...page, status: 200 }) }],
  ["no database", "the database answers", { request: at("/health/ready", { ...page, status: 503 }) }],
  ["pages in the place of problems", "an unknown path is 404", { request: at("/no-such-path", page) }],
  ["everything is found", "an unknown path is 404", { request: at("/no-such-path", { ...page, status: 200 }) }],
  [
    "an address is encoded twice",
    "@ and %40 in a path are the same inbox",
    { request: (passing) => ({ ...passing, path: passing.path.replace("%40", "%2540") }) },
  ],
  ["problems are replaced", "problems come as application/problem+json", { request: at("smoke-none-", page) }],
  [
    "the front speaks for itself",
    "CAMS sees who calls, not who passes it on",
    { request: (passing) => (has(passing, "x-cams-key") ? addedTo(passing, "x-cams-key", adminKey()) : passing) },
  ],
  [
    "the front lets everybody in",
    "without a credential nobody is let in",
    {
      request: (passing) =>
        passing.headers.some(([name]) => /authorization|userinfo|key/i.test(name))
          ? passing
          : as(passing, "x-cams-key", key()),
    },
  ],
  [
    "who sends X-Apigateway-Api-Userinfo is believed",
    "X-Apigateway-Api-Userinfo makes nobody somebody else",
    {
      request: (passing) =>
        has(passing, "x-apigateway-api-userinfo") && !has(passing, "x-cams-key")
          ? as(passing, "x-cams-key", key())
          : passing,
    },
  ],
  [
    "X-Apigateway-Api-Userinfo is believed more than a key",
    "X-Apigateway-Api-Userinfo makes nobody somebody else",
    {
      request: (passing) =>
        has(passing, "x-apigateway-api-userinfo") && has(passing, "x-cams-key")
          ? as(passing, "x-cams-key", adminKey())
          : passing,
    },
  ],
  [
    "who sends X-Forwarded-Authorization is believed",
    "X-Forwarded-Authorization makes nobody somebody else",
    {
      request: (passing) =>
        has(passing, "x-forwarded-authorization") && !has(passing, "x-cams-key")
          ? as(passing, "x-cams-key", key())
          : passing,
    },
  ],
  [
    "X-Forwarded-Authorization is believed more than a key",
    "X-Forwarded-Authorization makes nobody somebody else",
    {
      request: (passing) =>
        has(passing, "x-forwarded-authorization") && has(passing, "x-cams-key")
          ? as(passing, "x-cams-key", adminKey())
          : passing,
    },
  ],
  ...["authorization", "x-serverless-authorization"].map((header): [string, string, Meddling] => [
    `nobody looks at signatures in ${header}`,
    "a token without its signature is refused",
    { request: (passing) => (has(passing, header) ? as(passing, "x-cams-key", key()) : passing) },
  ]),
  ["the first of two keys is passed on", "a credential given twice is refused", { request: onlyFirst }],
  ["the last of two keys is passed on", "a credential given twice is refused", { request: onlyLast }],
  [
    "the front is a system account",
    "system endpoints cannot be called from here",
    {
      request: async (passing) =>
        passing.path === "/v1/agent-health-sweep"
          ? as(passing, "authorization", (await guarded.systemToken()).authorization as string)
          : passing,
    },
  ],
  [
    "messages that nobody gets",
    "a message is sent, pulled and acknowledged",
    {
      answer: (back, { path }) => (path.endsWith("/pull") ? { ...back, body: '{"messages":[],"remaining":0}' } : back),
    },
  ],
  [
    "a payload that is changed on the way",
    "a message is sent, pulled and acknowledged",
    { answer: (back) => ({ ...back, body: back.body.replaceAll("✓", "?") }) },
  ],
  [
    "an acknowledgement that is lost",
    "a message is sent, pulled and acknowledged",
    { request: at("/ack", { status: 200, type: "application/json", body: "{}" }) },
  ],
];

/** Answers this at paths that contain that. */
function at(path: string, answer: Returning): Required<Meddling>["request"] {
  return (passing) => (passing.path.includes(path) ? answer : passing);
}

/** The same headers with another value, each as often as it was there. */
function addedTo(passing: Passing, name: string, value: string): Passing {
  const headers = passing.headers.map(([given, old]): [string, string] => [
    given,
    given.toLowerCase() === name ? value : old,
  ]);
  return { ...passing, headers };
}

test("every check is made, and none fails, where all is as it should be", async () => {
  const lines = await smoke(await startFront(guarded.service.url, { request: unchanged }));
  expect(lines.filter((line) => !line.startsWith("ok "))).toEqual([
    "skipped  Scheduler runs a job: give --project and --region",
    "all is well",
  ]);
  expect(new Set(broken.map(([, title]) => title)).size).toBe(lines.length - 5);
  expect(await leftBehind()).toEqual([]);
});

test.each(broken)("%s: it fails that %s, and that alone", async (_, title, meddling) => {
  expect(await failures(meddling)).toEqual([expect.stringMatching(new RegExp(`^${title.replace("+", "\\+")}: .`))]);
  expect(await leftBehind()).toEqual([]);
});

test("a front that takes no @ in paths fails, and the inbox is deleted all the same", async () => {
  const failed = await failures({ request: (passing) => (/smoke-\w+@\w+$/.test(passing.path) ? page : passing) });
  expect(failed).toContainEqual(
    expect.stringMatching(/^@ and %40 in a path are the same inbox: .*@example answers 404/),
  );
  expect(failed).not.toContainEqual(expect.stringMatching(/^nothing is left behind/));
  expect(await leftBehind()).toEqual([]);
});

test("a pull that is not held, or cut short, fails", async () => {
  const title = "a pull waits as long as it asks to";
  const atOnce = await startFront(guarded.service.url, {
    request: (passing) => ({ ...passing, body: passing.body.replace(/"waitSeconds":\d+/, '"waitSeconds":0') }),
  });
  const wait = { waitSeconds: 1 };
  expect(await smoke(atOnce, wait)).toContainEqual(
    expect.stringMatching(`FAILED +${title}: answered after 0.. s of 1`),
  );
  const cut = await startFront(guarded.service.url, {
    request: (passing) => (passing.body === '{"waitSeconds":1}' ? { ...page, status: 504 } : passing),
  });
  expect(await smoke(cut, wait)).toContainEqual(expect.stringMatching(`FAILED +${title}: answered 504 `));
});

test("an inbox that cannot be registered fails, and what needs one is skipped", async () => {
  const lines = await smoke(
    await startFront(guarded.service.url, {
      request: (passing) => (passing.path === "/v1/agent-inboxes" ? { ...page, status: 502 } : passing),
    }),
  );
  expect(lines.filter((line) => line.startsWith("FAILED"))).toHaveLength(1);
  expect(lines.filter((line) => line.endsWith("no inbox was registered"))).toHaveLength(6);
  expect(lines).toContain("skipped  nothing is left behind: nothing was made");
});

test("an inbox whose registration was answered by nobody is deleted too", async () => {
  const url = await startFront(guarded.service.url, {
    answer: (back, { path, method }) =>
      method === "POST" && path === "/v1/agent-inboxes" ? { ...page, status: 504 } : back,
  });
  expect(await smoke(url)).toContain("ok       nothing is left behind");
  expect(await leftBehind()).toEqual([]);
});

test("an inbox that cannot be deleted, or is there afterwards, fails", async () => {
  for (const status of [403, 204]) {
    const failed = await failures({
      request: (passing) => (passing.method === "DELETE" ? { ...page, status } : passing),
    });
    expect(failed).toEqual([expect.stringMatching(/^nothing is left behind: ./)]);
  }
});

test("a service that takes stripped tokens from everybody is found out", async () => {
  const env = { PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: AUDIENCE };
  const open = await startService(
    { AUTH_MODE: "oidc", ...env },
    { url: guarded.service.databaseUrl, drop: async () => {} },
  );
  try {
    expect(await failures({}, open.url)).toContainEqual(
      expect.stringMatching(/^a token without its signature is refused: in Authorization it is answered 403 forbidden/),
    );
  } finally {
    await open.close();
  }
});

test("a service that takes a token of ours without its signature is found out", async () => {
  const token = await guarded.issuer.mint({ sub: "somebody" });
  const ours = `Bearer ${token.slice(0, token.lastIndexOf("."))}.`;
  const url = await startFront(guarded.service.url, {
    request: (passing) =>
      passing.headers.some(([, value]) => value.startsWith(ours)) ? as(passing, "x-cams-key", key()) : passing,
  });
  const lines = await smoke(url, { client: createClient(url, { token }) });
  expect(lines).toContainEqual(expect.stringMatching(/^FAILED +a token without its signature is refused/));
});

const RUN_AUDIENCE = "https://cams-abc.a.run.app";

/** The service as it runs where Cloud Run checks who invokes it. */
async function startBehindIam(env: Record<string, string>): Promise<string> {
  const iam = { AUTH_MODE: "oidc", PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: RUN_AUDIENCE, ...env };
  const service = await startService(iam, { url: guarded.service.databaseUrl, drop: async () => {} });
  onTestFinished(() => service.close());
  return service.url;
}

test("behind Cloud Run's IAM, with an invoker's token beside the key, all is well", async () => {
  const invoker = stripped().replace(/[^.]+$/, "c2lnbmVk");
  // Takes that one token, and hands it on without its signature.
  const url = await startFront(await startBehindIam({}), {
    request: (passing) => {
      const [first, ...others] = passing.headers.filter(([name]) => /^(x-serverless-)?authorization$/i.test(name));
      if (/^\/(health|v1\/no-such)/.test(passing.path))
        return addedTo(passing, "authorization", `Bearer ${stripped()}`);
      if (others.length > 0 || first?.[1] !== `Bearer ${invoker}`) return { ...page, status: first ? 401 : 403 };
      return addedTo(passing, first[0].toLowerCase(), `Bearer ${stripped()}`);
    },
  });
  const lines = await smoke(url, { client: createClient(url, { key: key(), token: invoker }), audience: RUN_AUDIENCE });
  expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
  expect(lines).toContain("ok       CAMS sees who calls, not who passes it on: agent");
});

test("behind a gateway that puts its own token in the place of the caller's all is well, with a key and with a token", async () => {
  const issuer = guarded.issuer.url;
  const service = await startBehindIam({
    AUTH_GATEWAY_ACCOUNT: "gateway@p.iam.gserviceaccount.com",
    AUTH_ISSUERS: issuer,
    AUTH_AUDIENCES: AUDIENCE,
  });
  const own = `Bearer ${stripped({ email: "gateway@p.iam.gserviceaccount.com" })}`;
  const front = await startFront(service, {
    request: (passing) => {
      if (/no-such-path|sweep|deliver$|\/system\//.test(passing.path)) return { ...page, body: '{"code":404}' };
      const moved = passing.headers.map(([name, value]): [string, string] => [
        name.replace(/^authorization$/i, "X-Forwarded-Authorization"),
        value,
      ]);
      return { ...passing, headers: [...moved, ["Authorization", own]] };
    },
  });
  const principal = `${issuer.replace("http://", "")}|somebody`;
  await guarded.service.put(`/v1/principals/${encodeURIComponent(principal)}`, { role: "agent", addresses: ["*"] });
  const token = await guarded.issuer.mint({ sub: "somebody" });
  // Not by a loopback name: a front may answer paths that it does not know.
  const url = front.replace("127.0.0.1", "0.0.0.0");
  for (const [credentials, who] of [
    [{ key: key() }, "agent"],
    [{ token }, principal],
  ] as const) {
    const lines = await smoke(url, { client: createClient(url, credentials), principal: who });
    expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
    expect(lines).toContain(`ok       CAMS sees who calls, not who passes it on: ${who}`);
    expect(lines).toContain("ok       an unknown path is 404: by the front, which does not pass it on");
  }
});

test("whose a token is follows from it as CAMS has it", async () => {
  const { issuer } = guarded;
  const google = { iss: "https://accounts.google.com", email: "Me@Example.com", sub: "1" };
  expect(principalOf(await issuer.mint(google))).toBe("me@example.com");
  expect(principalOf(await issuer.mint({ ...google, iss: "accounts.google.com" }))).toBe("me@example.com");
  expect(principalOf(await issuer.mint({ ...google, iss: issuer.url }))).toBe(
    `${issuer.url.slice("http://".length)}|1`,
  );
});

test("without a credential the rest is still checked, with a key alone nobody knows whom to expect", async () => {
  const url = await startFront(guarded.service.url);
  const without = await smoke(url, { client: createClient(url, {}), principal: undefined });
  expect(without).toContain("ok       a token without its signature is refused");
  expect(without.filter((line) => line.startsWith("skipped"))).toHaveLength(9);
  expect(without.at(-1)).toBe("all is well");
  expect(await smoke(url, { principal: undefined })).toContain(
    "skipped  CAMS sees who calls, not who passes it on: it sees agent; give --principal to compare",
  );
});

test("a job that Scheduler runs, refuses, or never starts", async () => {
  await startMetadata();
  const name = "projects/p/locations/europe-west1/jobs/cams-health-sweep";
  const job: Record<string, unknown> = { state: "ENABLED", lastAttemptTime: "2026-11-21T10:00:00Z", status: {} };
  let next: Record<string, unknown> = { lastAttemptTime: "2026-11-21T10:00:30Z", status: {} };
  let refusal: number | undefined;
  const asked = await startGoogleApi("CLOUD_SCHEDULER_ENDPOINT", ({ path }) => {
    if (refusal) return { status: refusal, body: { error: { message: "denied" } } };
    if (path.endsWith(":run")) Object.assign(job, next);
    return { status: 200, body: job };
  });
  const line = async () => {
    const lines = await smoke(guarded.service.url, { scheduler: { job: name, pollMs: 10 } });
    return lines.find((text) => text.includes("Scheduler"))?.replace(/ +/g, " ");
  };
  expect(await line()).toBe("ok Scheduler runs a job: cams-health-sweep at 2026-11-21T10:00:30Z");
  expect(asked[1]).toMatchObject({ method: "POST", path: `/v1/${name}:run`, authorization: "Bearer token-1" });
  next = { lastAttemptTime: "2026-11-21T10:01:00Z", status: { code: 7, message: "no" } };
  expect(await line()).toBe("FAILED Scheduler runs a job: the function refused: code 7 no");
  next = {};
  expect(await line()).toMatch(/^FAILED Scheduler runs a job: no attempt of /);
  job.state = "PAUSED";
  expect(await line()).toBe(`FAILED Scheduler runs a job: ${name} is PAUSED`);
  refusal = 403;
  expect(await line()).toMatch(/^FAILED Scheduler runs a job: Scheduler answers 403 denied \(needed: roles/);
});

const script = new URL("../../scripts/smoke.ts", import.meta.url).pathname;

type Run = { stdout: string; stderr: string; code?: number };

/** As `npm run smoke -- …`; answers the exit code and the lines. */
async function command(...args: string[]): Promise<[code: number, lines: string[]]> {
  const run = promisify(execFile)(process.execPath, [script, ...args]);
  const { stdout, stderr, code = 0 }: Run = await run.catch((error) => error);
  return [code, `${stdout}${stderr}`.trim().split("\n")];
}

test("from the command line: 0 when all is well, 1 when not, and how to use it", async () => {
  const { url } = guarded.service;
  const [code, lines] = await command("--url", url, "--key", key(), "--principal", "agent", "--wait-seconds", "1");
  expect([code, lines.at(-1)]).toEqual([0, "all is well"]);
  const [failed, found] = await command("--url", url, "--key", key(), "--principal", "eve", "--wait-seconds", "1");
  expect([failed, found.at(-1)]).toEqual([1, "1 failed"]);
  const usage = expect.stringMatching(/^(smoke: )?usage: npm run smoke -- --url URL/);
  for (const noUrl of ["cams", "localhost:8080"])
    expect(await command("--url", noUrl)).toEqual([1, expect.arrayContaining([usage])]);
  expect(await command("--help")).toEqual([0, expect.arrayContaining([usage])]);
  expect(await command("--url", url, "--keys", "x")).toEqual([
    1,
    [expect.stringMatching(/^smoke: Unknown option '--keys'/)],
  ]);
});

test("stopped from the keyboard, it deletes its inbox", async () => {
  const child = spawn(process.execPath, [script, "--url", guarded.service.url, "--key", key(), "--wait-seconds", "30"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  await expect.poll(leftBehind, { timeout: 15_000 }).toHaveLength(1);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(await leftBehind()).toEqual([]);
});

test("with a service account's token, made by whoever may impersonate it", async () => {
  await startMetadata();
  const account = "smoke@p.iam.gserviceaccount.com";
  const [issuer] = [guarded.issuer.url.replace("http://", "")];
  const asked = await startGoogleApi("IAM_CREDENTIALS_ENDPOINT", async () => ({
    status: 200,
    body: { token: await guarded.issuer.mint({ sub: account }) },
  }));
  const principal = encodeURIComponent(`${issuer}|${account}`);
  await guarded.service.put(`/v1/principals/${principal}`, { role: "agent", addresses: ["smoke-*@example"] });
  const [code, lines] = await command(
    ...["--url", guarded.service.url, "--account", account, "--audience", AUDIENCE, "--wait-seconds", "1"],
  );
  expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
  expect([code, lines]).toEqual([
    0,
    expect.arrayContaining([`ok       CAMS sees who calls, not who passes it on: ${issuer}|${account}`]),
  ]);
  expect(asked).toMatchObject([
    {
      path: `/v1/projects/-/serviceAccounts/${account}:generateIdToken`,
      authorization: "Bearer token-1",
      body: { audience: AUDIENCE, includeEmail: true },
    },
  ]);
});
