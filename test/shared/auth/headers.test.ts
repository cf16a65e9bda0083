import { expect, test } from "vitest";
import { makeApiKey } from "../../../shared/auth/api-keys.ts";
import { AUDIENCE, startIssuer, stripped } from "../../support/issuer.ts";
import { type Door, type Outcome, refusal, startDoor } from "./door.ts";

const IAM = {
  PLATFORM_AUTH: "iam",
  AUTH_PLATFORM_AUDIENCES: "https://other.example,https://cams-abc.a.run.app",
  AUTH_GATEWAY_ACCOUNT: "Gateway@project.example",
};
const KEY_ID = "0198c0de-0000-7000-8000-000000000001";
const NAMES = ["authorization", "x-serverless-authorization", "x-forwarded-authorization", "x-cams-key"] as const;

/** What stands in a header. */
type Content = "-" | "user" | "platform" | "gateway" | "other" | "key";
/** The four headers in the order of NAMES, and who calls. */
type Row = readonly [Content, Content, Content, Content, "401" | "user" | "platform" | "other" | "key"];

/** Each row four times: without the last two headers, with the one, with the other, with both. */
function fourOf(own: Content, serverless: Content, ...results: Row[4][]): Row[] {
  const [none = "401", forwarded = none, key = none, both = key] = results;
  return [
    [own, serverless, "-", "-", none],
    [own, serverless, "other", "-", forwarded],
    [own, serverless, "-", "key", key],
    [own, serverless, "other", "key", both],
  ];
}

const withoutPlatform: Row[] = [
  ...fourOf("-", "-", "401", "401", "key", "key"),
  ...fourOf("user", "-", "user", "user", "401", "401"),
  ...fourOf("platform", "-", "401"),
  ...fourOf("-", "platform", "401"),
  ...fourOf("user", "platform", "401"),
  ...fourOf("-", "user", "401"),
  ...fourOf("user", "user", "401"),
];

const onPlatform: Row[] = [
  ...fourOf("-", "-", "401"),
  ...fourOf("user", "-", "401"),
  ...fourOf("platform", "-", "platform", "platform", "key", "key"),
  ...fourOf("gateway", "-", "401", "other", "key", "401"),
  ...fourOf("-", "platform", "platform", "platform", "key", "key"),
  ...fourOf("user", "platform", "user", "user", "401", "401"),
  ...fourOf("platform", "platform", "401"),
  ...fourOf("gateway", "platform", "401"),
  ...fourOf("-", "gateway", "401", "other", "key", "401"),
  ...fourOf("user", "gateway", "user", "401", "401", "401"),
  ...fourOf("platform", "gateway", "401"),
  ...fourOf("gateway", "gateway", "401"),
  ...fourOf("-", "user", "401"),
  ...fourOf("user", "user", "401"),
  ...fourOf("platform", "user", "401"),
  ...fourOf("gateway", "user", "401"),
];

/** A door, everybody registered, and what each of them sends. */
async function setUp(env: Record<string, string>) {
  const issuer = await startIssuer();
  const door = await startDoor({ AUTH_ISSUERS: issuer.url, AUTH_AUDIENCES: AUDIENCE, ...env });
  const idOf = (subject: string) => `${issuer.url.replace("http://", "")}|${subject}`;
  const { key, hash } = makeApiKey(KEY_ID);
  for (const id of [idOf("user"), idOf("other"), "invoker@project.example", "gateway@project.example"])
    door.register(id);
  door.directory.keys.set(KEY_ID, { principal: "key's", role: "agent", addresses: ["a"], hash });
  const sent: Record<Content, string | undefined> = {
    "-": undefined,
    user: `Bearer ${await issuer.mint({ sub: "user" })}`,
    other: `Bearer ${await issuer.mint({ sub: "other" })}`,
    platform: `Bearer ${stripped()}`,
    gateway: `Bearer ${stripped({ email: "gateway@project.example" })}`,
    key,
  };
  const names: Record<string, string> = {
    [idOf("user")]: "user",
    [idOf("other")]: "other",
    "invoker@project.example": "platform",
    "key's": "key",
  };
  const headersOf = (row: Row) =>
    Object.fromEntries(NAMES.flatMap((name, at) => (row[at] === "-" ? [] : [[name, sent[row[at] as Content]]])));
  const whoIs = (outcome: Outcome) => (outcome.status === 200 ? names[outcome.body.principal] : `${outcome.status}`);
  return { door, headersOf, whoIs };
}

/** Rows for which something else came out. */
async function surprises(rows: Row[], { door, headersOf, whoIs }: Awaited<ReturnType<typeof setUp>>) {
  const found: string[] = [];
  for (const row of rows) {
    const outcome = await door.call(headersOf(row));
    if (whoIs(outcome) !== row[4]) found.push(`${row.join(" ")}: ${JSON.stringify(outcome.body)}`);
  }
  return found;
}

test("without a platform that checks: a token or a key decides, and each combination has its answer", async () => {
  expect(withoutPlatform).toHaveLength(28);
  expect(await surprises(withoutPlatform, await setUp({}))).toEqual([]);
});

test("behind Cloud Run each combination of the four headers has its answer", async () => {
  expect(onPlatform).toHaveLength(64);
  expect(await surprises(onPlatform, await setUp(IAM))).toEqual([]);
});

/** Calls again with one header changed at a time; answers those that were let in as the same all the same. */
async function unmoved(rows: Row[], env: Record<string, string>, change: (value: string) => string | string[]) {
  const { door, headersOf, whoIs } = await setUp(env);
  const unmoved: string[] = [];
  for (const row of rows.filter(([, , , , who]) => who !== "401")) {
    const headers = headersOf(row);
    for (const [name, value] of Object.entries(headers)) {
      const who = whoIs(await door.call({ ...headers, [name]: change(value as string) }));
      if (who === row[4]) unmoved.push(`${row[0]} ${row[1]} ${name}`);
      else expect(who, `${row.join(" ")} ${name}`).toBe("401");
    }
  }
  return [...new Set(unmoved)];
}

/** The gateway alone is listened to there. */
const IGNORED = [
  "platform - x-forwarded-authorization",
  "- platform x-forwarded-authorization",
  "user platform x-forwarded-authorization",
];

test.each([
  ["garbage", () => "garbage"],
  ["nothing", () => ""],
  ["no space", (value: string) => value.replace("Bearer ", "Bearer").replace("cams_", "cams")],
  ["another scheme", (value: string) => value.replace("Bearer", "Basic").replace("cams_", "key_")],
  [
    "a token that is none",
    (value: string) => `${value.slice(0, 7)}${value.slice(7).replaceAll(".", "")}`.replace("cams_", ""),
  ],
  ["two tokens", (value: string) => `${value}, ${value}`],
  ["the same twice", (value: string) => [value, value]],
] as [string, (value: string) => string | string[]][])(
  "a header that is read and has %s is 401, whatever else is there",
  async (_, change) => {
    expect(await unmoved(onPlatform, IAM, change)).toEqual(IGNORED);
    expect(await unmoved(withoutPlatform, {}, change)).toEqual([
      "- - x-forwarded-authorization",
      "user - x-forwarded-authorization",
    ]);
  },
);

test("a header given twice is said so, in any case of its letters", async () => {
  const { door, headersOf } = await setUp({});
  const { authorization } = headersOf(["user", "-", "-", "-", "user"]) as { authorization: string };
  const twice = await door.call({ AUTHORIZATION: [authorization, "Basic eDp5"] });
  expect(refusal(twice)).toBe("Authorization is given more than once.");
});

test("the scheme has no case", async () => {
  const { door, headersOf, whoIs } = await setUp({});
  const { authorization } = headersOf(["user", "-", "-", "-", "user"]) as { authorization: string };
  expect(whoIs(await door.call({ authorization: authorization.replace("Bearer", "bEARER") }))).toBe("user");
});

test("what a gateway says of its callers in X-Apigateway-Api-Userinfo is never read", async () => {
  const { door } = await setUp(IAM);
  const userinfo = Buffer.from(JSON.stringify({ email: "invoker@project.example", email_verified: true })).toString(
    "base64",
  );
  const gateway = `Bearer ${stripped({ email: "gateway@project.example" })}`;
  expect(refusal(await door.call({ authorization: gateway, "x-apigateway-api-userinfo": userinfo }))).toMatch(
    /^Send a cred/,
  );
});

test("the gateway's own account is no principal, though it is registered, by its token either", async () => {
  const issuer = await startIssuer();
  const google = { AUTH_ISSUERS: `https://accounts.google.com=${issuer.keysUrl}`, AUTH_AUDIENCES: AUDIENCE };
  const door = await startDoor({ ...IAM, ...google, CAMS_ADMINS: "gateway@project.example" });
  door.register("gateway@project.example", "admin");
  const email = "Gateway@project.example";
  const token = await issuer.mint({ iss: "https://accounts.google.com", email, email_verified: true });
  const forwarded = { authorization: `Bearer ${stripped({ email })}`, "x-forwarded-authorization": `Bearer ${token}` };
  expect(refusal(await door.call(forwarded))).toMatch(/gateway/);
  const beside = { authorization: `Bearer ${token}`, "x-serverless-authorization": `Bearer ${stripped()}` };
  expect(refusal(await door.call(beside))).toMatch(/gateway/);
});

test("an endpoint that asks for nothing looks at no credential", async () => {
  const door: Door = await startDoor({});
  const { status, body } = await door.call({ authorization: ["Basic x", "y"], "x-cams-key": "z" }, "public");
  expect({ status, body }).toEqual({ status: 200, body: { principal: "anonymous", role: "agent", addresses: [] } });
});

test("with AUTH_MODE=none nobody proves anything, and everybody is the local administrator", async () => {
  const door = await startDoor({ AUTH_MODE: "none" });
  const headers = { authorization: "Basic x", "x-cams-key": "z" };
  expect((await door.call(headers, "admin")).body).toMatchObject({ principal: "local", role: "admin" });
  expect((await door.call(headers, "system")).body).toMatchObject({ principal: "local", role: "system" });
  expect(door.directory.asked).toEqual([]);
});

test("without a credential one is asked for", async () => {
  const door = await startDoor({});
  expect(refusal(await door.call())).toBe("Send a credential: Authorization: Bearer <token>, or X-Cams-Key: <key>.");
});
