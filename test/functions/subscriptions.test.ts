import { expect, test } from "vitest";
import { tablesOf } from "../contract/tables.ts";
import { useGuardedService } from "../support/callers.ts";
import { makerFor } from "../support/make.ts";
import { allPages, atOnce } from "./calls.ts";

type Fields = Record<string, unknown>;

const guarded = useGuardedService();
const { service, key } = guarded;
const make = makerFor(service);

const at = (subscriptionId: string) => `/v1/subscriptions/${subscriptionId}`;
const subscribe = (to: Fields, headers?: Record<string, string>, fields: Fields = {}) =>
  service.post("/v1/subscriptions", { eventType: "order.*", to, ...fields }, headers);
const match = async (event: Fields) => (await service.post("/v1/subscriptions/match", event)).body;
const definition = async (ownerTeam: string, fields: Fields = {}): Promise<string> =>
  (await make.published({ metadata: { ownerTeam }, ...fields })).id;
const triggersOf = async (definitionId: string) =>
  (await service.get(`/v1/subscriptions?definitionId=${definitionId}`)).body.items;

/** An agent of a team, with a new inbox that it speaks for. */
async function owner(team: string) {
  const { aiAgentAddress } = await make.inbox();
  const { principalId } = await make.principal({ team, addresses: [aiAgentAddress] });
  return { aiAgentAddress, principalId, headers: { "x-cams-key": (await make.key(principalId)).key } };
}

test("who acts for an inbox subscribes it, by all that a subscription says; nobody else does", async () => {
  const { aiAgentAddress, principalId, headers } = await owner("sales");
  const given = { eventType: "order.*.#", filters: { total: ">= 300", shop: ["north"] }, priority: "HIGH" };
  const { status, body } = await subscribe({ aiAgentAddress }, headers, given);
  const by = { ownerTeam: "sales", createdBy: principalId, createdAt: expect.any(String), revision: 1 };
  const all = { ...given, to: { aiAgentAddress }, subscriptionId: expect.any(String), ...by };
  expect({ status, body }).toEqual({ status: 201, body: all });
  expect((await service.get(at(body.subscriptionId))).body).toEqual(body);
  const refused = await subscribe({ aiAgentAddress }, key("foreignAgent"));
  expect(refused).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect(await subscribe({ aiAgentAddress: "elsewhere-1@other.example" }, key("foreignAgent"))).toMatchObject({
    status: 404,
    body: { code: "inbox_not_found", detail: "There is no inbox at this address." },
  });
  expect((await service.get("/v1/subscriptions")).body.items).toEqual([body]);
});

test("an operator subscribes the inboxes of its team", async () => {
  const { aiAgentAddress } = await make.inbox({ ownerTeam: "elsewhere" });
  expect((await subscribe({ aiAgentAddress }, key("foreignAgent"))).status).toBe(403);
  expect((await subscribe({ aiAgentAddress }, key("foreignOperator"))).status).toBe(201);
});

test("a definition is subscribed by its team, and by an administrator", async () => {
  const definitionId = await definition("sales");
  for (const name of ["foreignAgent", "foreignOperator"] as const)
    expect(await subscribe({ definitionId }, key(name)), name).toMatchObject({
      status: 403,
      body: { code: "forbidden" },
    });
  for (const name of ["agent", "operator", "admin"] as const)
    expect((await subscribe({ definitionId }, key(name))).status, name).toBe(201);
});

test("a definition without a team is an administrator's alone: who has no team is not of the same one", async () => {
  const definitionId = await definition("sales");
  await service.sql("update cams.definitions set owner_team = null");
  const { headers } = await owner("sales");
  const { principalId } = await make.principal({ role: "operator" });
  const teamless = { "x-cams-key": (await make.key(principalId)).key };
  for (const credential of [headers, teamless])
    expect((await subscribe({ definitionId }, credential)).status).toBe(403);
  expect((await subscribe({ definitionId })).status).toBe(201);
});

test("a team has no pool, and a retired definition takes nothing: 409 to its owner, 403 to others all the same", async () => {
  const member = await definition("sales");
  const { id: team } = await make.published(make.team({ members: [{ id: member }], metadata: { ownerTeam: "sales" } }));
  const retired = await definition("sales");
  await service.delete(`/v1/definitions/${retired}`);
  for (const [definitionId, code] of [
    [team, "definition_kind_mismatch"],
    [retired, "definition_retired"],
  ]) {
    expect(await subscribe({ definitionId }, key("agent"))).toMatchObject({ status: 409, body: { code } });
    expect((await subscribe({ definitionId }, key("foreignAgent"))).status).toBe(403);
  }
});

test("whoever made it ends it, although it no longer acts for the inbox; a limited key of it does not", async () => {
  const { aiAgentAddress, principalId, headers } = await owner("sales");
  const { body } = await subscribe({ aiAgentAddress }, headers);
  const limited = await make.key(principalId, { addresses: ["nobody@corp.example"] });
  const withLimited = await service.delete(at(body.subscriptionId), { "x-cams-key": limited.key });
  expect(withLimited).toMatchObject({ status: 403, body: { code: "forbidden" } });
  await service.sql("update cams.principals set addresses = '{}' where principal_id = $1", [principalId]);
  await expect.poll(async () => (await subscribe({ aiAgentAddress }, headers)).status, { timeout: 20_000 }).toBe(403);
  expect((await service.delete(at(body.subscriptionId), headers)).status).toBe(204);
  expect((await service.get(at(body.subscriptionId))).status).toBe(404);
});

test("the operator of its team ends it; another agent of the team does not, nor does another team's operator", async () => {
  const { aiAgentAddress, headers } = await owner("elsewhere");
  const { body } = await subscribe({ aiAgentAddress }, headers);
  const path = at(body.subscriptionId);
  const other = await make.principal({ role: "operator", team: "support" });
  const support = { "x-cams-key": (await make.key(other.principalId)).key };
  for (const credential of [key("foreignAgent"), support])
    expect(await service.delete(path, credential)).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect((await service.delete(path, key("foreignOperator"))).status).toBe(204);
});

test("who acts for the inbox ends what others have subscribed it to", async () => {
  const { aiAgentAddress, headers } = await owner("sales");
  const { body } = await subscribe({ aiAgentAddress });
  expect((await service.delete(at(body.subscriptionId), headers)).status).toBe(204);
});

test("the team of a definition ends what others have subscribed it to, also when it is retired", async () => {
  const definitionId = await definition("elsewhere");
  const [first, second] = await atOnce(2, async () => (await subscribe({ definitionId })).body.subscriptionId);
  expect((await service.delete(at(first), key("agent"))).status).toBe(403);
  expect((await service.delete(at(first), key("foreignAgent"))).status).toBe(204);
  await service.delete(`/v1/definitions/${definitionId}`);
  expect((await service.delete(at(second), key("foreignAgent"))).status).toBe(204);
});

test("a definition's trigger stays, whoever asks, until another version is current", async () => {
  const definitionId = await definition("sales", { triggers: [{ eventType: "order.*", priority: "HIGH" }] });
  const [trigger] = await triggersOf(definitionId);
  expect(trigger).toMatchObject({ eventType: "order.*", priority: "HIGH", fromVersion: "1.0.0", ownerTeam: "sales" });
  for (const name of ["agent", "operator", "admin"] as const)
    expect(await service.delete(at(trigger.subscriptionId), key(name)), name).toMatchObject({
      status: 409,
      body: {
        code: "subscription_of_definition",
        detail: `It is a trigger of ${definitionId} 1.0.0: it goes with that version.`,
      },
    });
  const { body: own } = await subscribe({ definitionId });
  await make.published({ metadata: { id: definitionId, version: "2.0.0", ownerTeam: "sales" } });
  expect(await triggersOf(definitionId)).toEqual([own]);
});

test("an inbox takes its subscriptions with it", async () => {
  const { subscriptionId, to } = await make.subscription();
  expect((await service.delete(`/v1/agent-inboxes/${to.aiAgentAddress}`)).status).toBe(204);
  expect((await service.get(at(subscriptionId))).status).toBe(404);
});

test("only of the revision that If-Match names, and once", async () => {
  const { subscriptionId } = await make.subscription();
  expect((await service.delete(at(subscriptionId), { "if-match": '"2"' })).status).toBe(412);
  expect((await service.delete(at(subscriptionId), { "if-match": '"1"' })).status).toBe(204);
  expect((await service.delete(at(subscriptionId), { "if-match": '"1"' })).status).toBe(404);
});

test("listed newest first, page by page, while others are made, by each filter", async () => {
  const { aiAgentAddress } = await make.inbox();
  const definitionId = await definition("sales");
  const made: string[] = [];
  for (let n = 0; n < 6; n++) {
    const to = n % 2 ? { aiAgentAddress } : { definitionId };
    const { body } = await subscribe(to, undefined, { eventType: n % 3 ? "order.*" : "order.#" });
    made.unshift(body.subscriptionId);
  }
  const ids = async (query: string, afterEach?: () => Promise<unknown>): Promise<string[]> =>
    (await allPages(service, `/v1/subscriptions?${query}`, afterEach)).map(({ subscriptionId }) => subscriptionId);
  const chosen = (...places: number[]) => places.map((place) => made[place]);
  expect(await ids(`aiAgentAddress=${aiAgentAddress}&pageSize=1`)).toEqual(chosen(0, 2, 4));
  expect(await ids(`definitionId=${definitionId}`)).toEqual(chosen(1, 3, 5));
  expect(await ids("eventType=order.%23")).toEqual(chosen(2, 5));
  expect(await ids(`eventType=order.%23&aiAgentAddress=${aiAgentAddress}`)).toEqual(chosen(2));
  expect(await ids("eventType=order.placed")).toEqual([]);
  expect(await ids("pageSize=2", () => make.subscription())).toEqual(made);
});

test("of the subscriptions of one target that fit, the one of the highest priority counts, or the oldest", async () => {
  const { aiAgentAddress } = await make.inbox();
  const definitionId = await definition("sales");
  const to = { aiAgentAddress };
  const made: Record<string, string> = {};
  for (const [name, target, fields] of [
    ["low", to, { eventType: "#", priority: "LOW" }],
    ["own", to, { eventType: "order.#" }],
    ["critical", to, { eventType: "order.placed", priority: "CRITICAL", filters: { total: ">= 300" } }],
    ["pooled", { definitionId }, { eventType: "*.placed", priority: "LOW" }],
    ["later", { definitionId }, { eventType: "*.placed", priority: "LOW", filters: { shop: { exists: true } } }],
    ["other", to, { eventType: "invoice.*" }],
  ] as const)
    made[name] = (await subscribe(target, undefined, fields)).body.subscriptionId;
  const matched = async (event: Fields) =>
    (await match({ type: "order.placed", ...event })).matched.map(({ subscriptionId, priority, to }: Fields) => ({
      subscriptionId,
      priority,
      to,
    }));
  const pooled = { subscriptionId: made.pooled, priority: "LOW", to: { definitionId } };
  expect(await matched({ priority: "HIGH", payload: { total: 300, shop: "north" } })).toEqual([
    { subscriptionId: made.critical, priority: "CRITICAL", to },
    pooled,
  ]);
  expect(await matched({ priority: "HIGH" })).toEqual([{ subscriptionId: made.own, priority: "HIGH", to }, pooled]);
  expect(await matched({ priority: "LOW" })).toEqual([{ subscriptionId: made.low, priority: "LOW", to }, pooled]);
  expect(await matched({})).toEqual([{ subscriptionId: made.own, priority: "NORMAL", to }, pooled]);
});

test("what fits the type and gets nothing is told with each filter that does not hold, and nothing happens", async () => {
  const filters = { "order.total": ">= 300", shop: ["north", "south"], note: { exists: false } };
  const { subscriptionId, to } = await make.subscription({ filters });
  const before = await tablesOf(service);
  expect(await match({ type: "order.placed", payload: { order: { total: 7 }, note: "soon" } })).toEqual({
    matched: [],
    missed: [
      {
        ...{ subscriptionId, eventType: "order.*", to, priority: "NORMAL" },
        because: [
          { path: "note", expected: { exists: false }, actual: "soon" },
          { path: "shop", expected: ["north", "south"] },
          { path: "order.total", expected: ">= 300", actual: 7 },
        ],
      },
    ],
    unhandled: true,
  });
  expect(await match({ type: "order.placed", payload: { order: { total: 300 }, shop: "south" } })).toMatchObject({
    matched: [{ subscriptionId }],
    missed: [],
    unhandled: false,
  });
  expect(await match({ type: "invoice.sent" })).toEqual({ matched: [], missed: [], unhandled: true });
  expect(await tablesOf(service)).toEqual(before);
});

test("a definition that takes no tasks now gets no event, and why is told", async () => {
  const retired = await definition("sales");
  const disabled = await definition("sales", { config: { enabled: false } });
  const { id: draft } = await make.definition();
  for (const definitionId of [retired, disabled, draft]) await subscribe({ definitionId });
  await service.delete(`/v1/definitions/${retired}`);
  const { matched, missed, unhandled } = await match({ type: "order.placed" });
  expect({ matched, unhandled }).toEqual({ matched: [], unhandled: true });
  expect(missed.map(({ to, closed }: Fields) => [(to as Fields).definitionId, closed])).toEqual([
    [retired, "it is retired"],
    [disabled, "it is not enabled by its current version"],
    [draft, "it has no current version"],
  ]);
  expect(await make.event()).toMatchObject({ tasks: 0, unhandled: true });
  await make.published({ metadata: { id: disabled, version: "2.0.0", ownerTeam: "sales" } });
  expect(await make.event()).toMatchObject({ tasks: 1, unhandled: false });
});

test("the audit names who subscribes and who ends a subscription", async () => {
  const { aiAgentAddress, principalId, headers } = await owner("sales");
  const { subscriptionId } = (await subscribe({ aiAgentAddress }, headers)).body;
  await service.delete(at(subscriptionId));
  expect((await service.get("/v1/audit?resourceType=subscription")).body.items).toMatchObject([
    { action: "deleted", actor: "admin", source: "subscriptions-delete", requestId: expect.any(String) },
    { action: "created", actor: principalId, source: "subscriptions-create", requestId: expect.any(String) },
  ]);
});
