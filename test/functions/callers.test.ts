import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { client } from "../support/client.ts";
import { stripped } from "../support/issuer.ts";
import { startService } from "../support/service.ts";

const AUDIENCE = "https://cams-abc.a.run.app";
const platform = { AUTH_MODE: "oidc", PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: AUDIENCE };

describe("a service whose invokers Cloud Run checks", () => {
  test("knows the first administrator, the scheduler and registered accounts by their e-mail addresses", async () => {
    const service = await startService({
      ...platform,
      CAMS_ADMINS: "Root@project.example",
      AUTH_SYSTEM_ACCOUNTS: "scheduler@project.example",
    });
    const as = (email: string) => client(service.url, { authorization: `Bearer ${stripped({ email })}` });
    const root = as("root@project.example");
    const put = await root.put("/v1/principals/agent@project.example", { role: "agent", addresses: ["a-*"] });
    expect(put.body.updatedBy).toBe("root@project.example");
    const body = { aiAgentAddress: "a-1", inboxDestinationType: "PULL_QUEUE" };
    const registered = await as("Agent@Project.example").post("/v1/agent-inboxes", body);
    expect(registered).toMatchObject({ status: 201, body: { updatedBy: "agent@project.example" } });
    expect((await as("stranger@project.example").get("/v1/agent-inboxes")).status).toBe(403);
    const scheduler = as("scheduler@project.example");
    expect((await scheduler.post("/v1/agent-health-sweep")).status).toBe(200);
    expect((await scheduler.get("/v1/agent-inboxes")).status).toBe(403);
    expect((await root.post("/v1/agent-health-sweep")).status).toBe(403);
    expect((await client(service.url).get("/v1/agent-inboxes")).status).toBe(401);
    await service.close();
  });

  test("lets nobody be the scheduler by registering: what the configuration names, the table never decides", async () => {
    const service = await startService({ ...platform, CAMS_ADMINS: "root", AUTH_SYSTEM_ACCOUNTS: "s@project.example" });
    await service.sql(`insert into cams.principals (principal_id, role, addresses, created_at, updated_at, updated_by)
      values ('s@project.example', 'admin', '{*}', now(), now(), 'test')`);
    const scheduler = client(service.url, { authorization: `Bearer ${stripped({ email: "s@project.example" })}` });
    expect((await scheduler.get("/v1/principals")).status).toBe(403);
    await service.close();
  });
});

describe("without authentication", () => {
  test.each([
    ["of a page that is shown in a browser", { origin: "https://evil.example" }],
    ["of a page whose name leads here", { host: "evil.example:8080" }],
    ["of a page without a name", { origin: "null" }],
    ["by the name of a stranger that looks like ours", { host: "localhost.evil.example" }],
  ])("a request %s is refused: 403", async (_, headers) => {
    const service = await startService();
    for (const [method, path] of [
      ["POST", "/v1/agent-health-sweep"],
      ["GET", "/v1/agent-inboxes"],
    ] as const)
      expect(await ask(service.url, method, path, headers)).toBe(403);
    expect(await ask(service.url, "GET", "/health/live", headers)).toBe(200);
    await service.close();
  });

  test.each([{}, { host: "localhost:1" }, { host: "[::1]" }, { origin: "http://127.0.0.1:3000" }])(
    "a request of this machine is served: %j",
    async (headers) => {
      const service = await startService();
      expect(await ask(service.url, "GET", "/v1/agent-inboxes", headers)).toBe(200);
      await service.close();
    },
  );
});

/** As `fetch` cannot: with a host of its own. */
async function ask(url: string, method: string, path: string, headers: Record<string, string>): Promise<number> {
  const [answer] = await once(request(new URL(path, url), { method, headers }).end(), "response");
  answer.resume();
  return answer.statusCode;
}

test("429 with Retry-After beyond the limit, for this principal alone, and not for the system", async () => {
  const service = await startService({
    ...platform,
    RATE_LIMIT_PER_MINUTE: "3",
    CAMS_ADMINS: "a@project.example,b@project.example",
    AUTH_SYSTEM_ACCOUNTS: "s@project.example",
  });
  const as = (name: string) =>
    client(service.url, { authorization: `Bearer ${stripped({ email: `${name}@project.example` })}` });
  const statuses = async (calls: Promise<{ status: number }>[]) =>
    (await Promise.all(calls)).map(({ status }) => status);
  const five = [1, 2, 3, 4, 5];
  expect((await statuses(five.map(() => as("a").get("/v1/agent-inboxes")))).toSorted()).toEqual([
    200, 200, 200, 429, 429,
  ]);
  const refused = await as("a").get("/v1/agent-inboxes");
  expect(refused).toMatchObject({ status: 429, body: { code: "rate_limited" } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(60);
  expect((await as("b").get("/v1/agent-inboxes")).status).toBe(200);
  // What is refused counts too: of who may not one learns nothing by asking without end.
  const asStranger = five.map(() => as("stranger").get("/v1/agent-inboxes"));
  expect((await statuses(asStranger)).toSorted()).toEqual([403, 403, 403, 429, 429]);
  expect(await statuses(five.map(() => as("s").post("/v1/agent-health-sweep")))).toEqual(Array(5).fill(200));
  expect(await statuses(five.map(() => client(service.url).get("/health/live")))).toEqual(Array(5).fill(200));
  await service.close();
});
