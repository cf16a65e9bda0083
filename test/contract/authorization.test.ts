import * as jose from "jose";
import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { type CallerName, useGuardedService } from "../support/callers.ts";
import { type Call, casesOf, kitFor, perform } from "../support/cases/index.ts";
import { type Answer, client } from "../support/client.ts";
import { keyPair, part, stripped } from "../support/issuer.ts";
import publicEndpoints from "./public-endpoints.json" with { type: "json" };
import { oneOfEach, typesOf } from "./samples.ts";
import { tablesOf } from "./tables.ts";

const guarded = useGuardedService();
const { service } = guarded;
const kit = kitFor(service);

const named = (chosen: readonly Endpoint[]) => chosen.map((endpoint) => [endpoint.name, endpoint] as const);
const closed = endpoints.filter(({ role }) => role !== "public");

type Headers_ = Record<string, string>;
const NOBODY: Headers_ = {};

/** With these headers alone: the usual client would send the administrator's key beside a token. */
function call(endpoint: Endpoint, given: Call, headers: Headers_): Promise<Answer> {
  return perform({ ...kit, service: { ...service, ...client(service.url) } }, endpoint, given, headers);
}

const bearer = (token: string): Headers_ => ({ authorization: `Bearer ${token}` });

/** Credentials that prove nothing: nobody gets in with one of them. */
const invalid: Record<string, () => Promise<Headers_>> = {
  "no credential": async () => NOBODY,
  "an expired token": async () => bearer(await guarded.issuer.mint({ exp: Math.floor(Date.now() / 1000) - 60 })),
  "a token for another audience": async () => bearer(await guarded.issuer.mint({ aud: "https://other.example" })),
  "a token of another issuer": async () => bearer(await guarded.issuer.mint({ iss: "https://other.example" })),
  "a token signed with another key": async () =>
    bearer(await guarded.issuer.mint({}, { key: (await keyPair()).privateKey })),
  "a token with alg none": async () => {
    const [, claims] = (await guarded.issuer.mint()).split(".");
    return bearer(`${part({ alg: "none" })}.${claims}.`);
  },
  "a token whose secret is the public key": async () => {
    const [, claims] = (await guarded.issuer.mint()).split(".");
    const secret = new TextEncoder().encode(await jose.exportSPKI(guarded.issuer.publicKey()));
    const payload = jose.decodeJwt(`e30.${claims}.x`);
    return bearer(await new jose.SignJWT(payload).setProtectedHeader({ alg: "HS256", kid: "key-1" }).sign(secret));
  },
  "a forged token as Cloud Run hands it on": async () => bearer(stripped({ email: "admin@project.example" })),
  "the same in the other header": async () => ({ "x-serverless-authorization": `Bearer ${stripped()}` }),
  "the gateway's header from a stranger": async () => ({
    "x-forwarded-authorization": `Bearer ${await guarded.issuer.mint()}`,
    "x-apigateway-api-userinfo": part({ email: "admin@project.example" }),
  }),
  "a token and a key": async () => ({ ...guarded.key("admin"), ...(await guarded.systemToken()) }),
  "a key with another secret": async () => ({
    "x-cams-key": guarded.key("admin")["x-cams-key"]?.replace(/.$/, "-") ?? "",
  }),
  "a key that nobody has": async () => ({
    "x-cams-key": `cams_00000000-0000-7000-8000-0000000000ff_${"A".repeat(43)}`,
  }),
  "something that is no key": async () => ({ "x-cams-key": "secret" }),
  "a name and a password": async () => ({ authorization: "Basic YWRtaW46YWRtaW4=" }),
};

/** Who has too low a role, or one that stands apart. */
const tooLow: Record<Endpoint["role"], CallerName[]> = {
  public: [],
  agent: [],
  operator: ["agent", "foreignAgent"],
  admin: ["agent", "operator"],
  system: ["agent", "operator", "admin"],
};

/** What a stranger makes of its own where it may call: in these tables, and in no other. */
const made: Record<string, string[]> = {
  "events-publish": ["events", "messages"],
  "schedules-create": ["audit_head", "audit_log", "schedules"],
};

/**
 * Endpoints that a stranger of the right role may call too, each with what it then finds. Any other answers 403 or 404
 * and changes nothing.
 */
const strangers: Record<string, (answer: Answer) => void> = {
  "inboxes-list": ({ body }) => {
    expect(body.items.length).toBeGreaterThan(0);
    for (const inbox of body.items) expect(inbox).not.toHaveProperty("inboxName");
  },
  "inboxes-get": ({ body }) => {
    for (const hidden of ["inboxName", "pendingMessages", "statusReason"]) expect(body).not.toHaveProperty(hidden);
  },
  "messages-list": ({ body }) => expect(body).toEqual({ items: [] }),
  "messages-send-batch": ({ body }) => {
    for (const { problem } of body.results) expect(problem.code).toBe("forbidden");
  },
  "health-report-batch": ({ body }) => {
    for (const { problem } of body.results) expect(["forbidden", "inbox_not_found"]).toContain(problem.code);
  },
  "agents-list": ({ body }) => expect(body.items).toHaveLength(1),
  "agents-count": ({ body }) => expect(body.count).toBe(1),
  "agents-get": ({ body }) => {
    expect(Object.keys(body.quarantine)).toEqual(["since"]);
    for (const hidden of ["stateReason", "workingTasks", "waitingTasks"]) expect(body).not.toHaveProperty(hidden);
  },
  "agents-quarantine-many": ({ body }) => expect(body).toEqual({ quarantined: 0 }),
  "agents-release-many": ({ body }) => expect(body).toEqual({ released: 0 }),
  // What agents are is no secret among those who may call.
  "definitions-list": ({ body }) => expect(body.items).toHaveLength(1),
  "definitions-get": ({ body }) => expect(body.ownerTeam).toBe("sales"),
  "definitions-versions": ({ body }) => expect(body.items).toHaveLength(1),
  "definitions-diff": ({ body }) => expect(body.patch).toHaveLength(1),
  "definitions-export": ({ body }) => expect(body).toContain("ownerTeam: sales"),
  "definitions-history": ({ body }) => expect(body.items).toHaveLength(2),
  "definitions-import": ({ body }) => expect(body.results[0].problem.code).toBe("forbidden"),
  "definitions-metrics": ({ body }) => expect(body.versions).toHaveLength(1),
  "tasks-list": ({ body }) => expect(body).toEqual({ items: [] }),
  // What happens is told to all who call, and so is who wants to know of it.
  "events-publish": ({ body }) => expect(body).toMatchObject({ messages: 1, unhandled: false }),
  "events-get": ({ body }) => expect(body.event.data.order).toBe(7),
  "events-list": ({ body }) => expect(body.items).toHaveLength(1),
  "events-stats": ({ body }) => expect(body).toMatchObject({ events: 1, messages: 1 }),
  "subscriptions-match": ({ body }) => expect(body.matched).toHaveLength(1),
  "subscriptions-get": ({ body }) => expect(body.to).toHaveProperty("aiAgentAddress"),
  "subscriptions-list": ({ body }) => expect(body.items).toHaveLength(1),
  "schedules-create": ({ body }) => expect(body.ownerTeam).toBe("elsewhere"),
  "schedules-list": ({ body }) => expect(body).toEqual({ items: [] }),
  // What happened is known to all agents.
  "events-stream": ({ body }) => expect(body).toMatch(/^retry: /),
  "audit-list": ({ body }) => expect(body).toEqual({ items: [] }),
  // Counts of the whole, without a name in them.
  "system-metrics": ({ body }) => expect(body).not.toContain("@"),
};

async function right(role: Endpoint["role"]): Promise<Headers_> {
  if (role === "public") return NOBODY;
  return role === "system" ? guarded.systemToken() : guarded.key(role);
}

test("nobody but these endpoints is open to everybody", () => {
  const open = endpoints.filter(({ role }) => role === "public").map(({ name }) => name);
  expect(open.toSorted()).toEqual(publicEndpoints.toSorted());
});

test("every exception for strangers is of an endpoint that there is", () => {
  const names = endpoints.map(({ name }) => name);
  expect(Object.keys(strangers).filter((name) => !names.includes(name))).toEqual([]);
  expect(Object.keys(made).filter((name) => !strangers[name])).toEqual([]);
});

// The gate before all endpoints is told the role; whatever else could matter is among them too.
const samples = oneOfEach(({ role, method, forms }) => [role, method === "GET", typesOf(forms)]);
const { "no credential": none, "a forged token as Cloud Run hands it on": forged } = invalid;

test("each role, each kind of request and YAML are among those that are tried with every credential", () => {
  const tried = [...samples].map(({ role, method, forms }) => `${role} ${method} ${typesOf(forms)}`);
  for (const kind of [
    /^agent GET/,
    /^agent [PD]/,
    /^operator P\w+ application.yaml/,
    /^admin GET/,
    /^admin [PD]/,
    /^system P/,
  ])
    expect(tried).toContainEqual(expect.stringMatching(kind));
});

describe.each(named(closed))("%s", (_, endpoint) => {
  const unproven = Object.entries(samples.has(endpoint) ? invalid : { none, forged });

  test(`401 with ${unproven.length} credentials that prove nothing, 403 for a role too low or apart, changing nothing; ${endpoint.status} for the right one`, async () => {
    const given = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    for (const [name, credential] of unproven) {
      const answer = await call(endpoint, given, (await credential?.()) ?? NOBODY);
      expect(answer, name).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
      expect(answer.headers.get("www-authenticate"), name).toBe('Bearer realm="cams"');
    }
    const refused = [
      bearer(await guarded.issuer.mint({ sub: "stranger" })),
      ...tooLow[endpoint.role].map(guarded.key),
      ...(endpoint.role === "system" ? [] : [await guarded.systemToken()]),
    ];
    for (const headers of refused)
      expect(await call(endpoint, given, headers)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(await tablesOf(service)).toEqual(before);
    const { status, body } = await call(endpoint, given, await right(endpoint.role));
    expect(status, JSON.stringify(body)).toBe(endpoint.status);
  });
});

const owned = closed.filter(({ role }) => role === "agent" || role === "operator");
describe.each(named(owned))("%s by a stranger", (name, endpoint) => {
  const callers: CallerName[] = endpoint.role === "agent" ? ["foreignAgent", "foreignOperator"] : ["foreignOperator"];
  test(`403 or 404 for ${callers.join(" and ")}, or nothing to be seen; nothing changes`, async () => {
    const given = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    for (const caller of callers) {
      const answer = await call(endpoint, given, guarded.key(caller));
      const exception = strangers[name];
      if (exception) {
        expect(answer.status, caller).toBe(endpoint.status);
        exception(answer);
      } else {
        expect([403, 404], `${caller}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
      }
    }
    const after = await tablesOf(service);
    const changed = Object.keys(after).filter((table) => after[table] !== before[table]);
    expect(changed.toSorted()).toEqual(made[name] ?? []);
  });
});

describe.each(named(endpoints.filter(({ role }) => role === "public")))("%s", (_, endpoint) => {
  test(`${endpoint.status} without a credential, and with any: none is looked at`, async () => {
    for (const headers of [NOBODY, bearer("nonsense"), guarded.key("admin")]) {
      const { status } = await call(endpoint, await casesOf(endpoint).success(kit), headers);
      expect(status).toBe(endpoint.status);
    }
  });
});
