import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { matches } from "../../shared/rules/access.ts";
import { tablesOf } from "../contract/tables.ts";
import { startSecond, useGuardedService } from "../support/callers.ts";
import { makerFor } from "../support/make.ts";

const guarded = useGuardedService();
const { service } = guarded;
const make = makerFor(service);

type Headers_ = Record<string, string>;

/** Registers somebody; answers how it says who it is. */
async function somebody(fields: Record<string, unknown> = {}, key: Record<string, unknown> = {}): Promise<Headers_> {
  const { principalId } = await make.principal(fields);
  return { "x-cams-key": (await make.key(principalId, key)).key };
}
const agentFor = (...addresses: string[]) => somebody({ addresses });
const operatorOf = (team: string) => somebody({ role: "operator", team });

const at = (address: string, verb = "") => `/v1/agent-inboxes/${address}${verb}`;
const name = (family = "sales") => `${family}-${randomUUID().slice(0, 8)}@corp.example`;

/** Expects a refusal, and that nothing has changed. */
async function refused(status: number, call: () => Promise<{ status: number; body: { code: string } }>) {
  const before = await tablesOf(service);
  const answer = await call();
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  expect(await tablesOf(service)).toEqual(before);
}

describe("an agent for sales-*@corp.example", () => {
  const sales = () => agentFor("sales-*@corp.example");

  test("registers, updates and deletes inboxes of its own, and no others", async () => {
    const headers = await sales();
    const mine = name();
    const body = { aiAgentAddress: mine, inboxDestinationType: "PULL_QUEUE" };
    expect((await service.post("/v1/agent-inboxes", body, headers)).status).toBe(201);
    expect((await service.put(at(mine), { description: "mine" }, headers)).body).toMatchObject({ inboxName: mine });
    expect((await service.delete(at(mine), headers)).status).toBe(204);

    const { aiAgentAddress: theirs } = await make.inbox({ aiAgentAddress: name("finance") });
    await refused(403, () => service.post("/v1/agent-inboxes", { ...body, aiAgentAddress: name("finance") }, headers));
    await refused(403, () => service.put(at(theirs), { status: "INACTIVE" }, headers));
    await refused(403, () => service.delete(at(theirs), headers));
  });

  test("sends as its own, whatever the case, and as nobody else", async () => {
    const headers = await sales();
    const { aiAgentAddress: recipientAddress } = await make.inbox();
    const send = (senderAddress: string) =>
      service.post("/v1/messages", { recipientAddress, senderAddress, payload: {} }, headers);
    expect((await send("SALES-eu@Corp.example")).status).toBe(202);
    for (const forged of ["finance-eu@corp.example", "sales@corp.example", "x-sales-eu@corp.example", "*"])
      await refused(403, () => send(forged));
    for (const headers of [await sales(), guarded.key("admin")])
      await refused(400, () =>
        service.post("/v1/messages", { recipientAddress, senderAddress: "cams", payload: {} }, headers),
      );
  });

  test("in a batch each forged sender is refused in its place, and the others are sent", async () => {
    const headers = await sales();
    const { aiAgentAddress: recipientAddress } = await make.inbox();
    const messages = ["sales-a", "finance-a", "sales-b", "finance-b"].map((sender, n) => ({
      recipientAddress,
      senderAddress: `${sender}@corp.example`,
      payload: { n },
    }));
    const { body } = await service.post("/v1/messages/batch", { messages }, headers);
    expect(body.results.map(({ problem }: { problem?: { code: string } }) => problem?.code)).toEqual([
      undefined,
      "forbidden",
      undefined,
      "forbidden",
    ]);
    const pulled = await make.pull(recipientAddress);
    expect(pulled.map(({ senderAddress, payload }: never) => [senderAddress, payload])).toEqual([
      ["sales-a@corp.example", { n: 0 }],
      ["sales-b@corp.example", { n: 2 }],
    ]);
  });

  test("reports the health of its own, and of nobody else", async () => {
    const headers = await sales();
    const [{ aiAgentAddress: mine }, { aiAgentAddress: theirs }] = [
      await make.inbox({ aiAgentAddress: name() }),
      await make.inbox({ aiAgentAddress: name("finance") }),
    ];
    const report = (aiAgentAddress: string) => ({ aiAgentAddress, status: "UNHEALTHY" });
    expect((await service.post("/v1/agent-health-check", report(mine), headers)).status).toBe(200);
    await refused(403, () => service.post("/v1/agent-health-check", report(theirs), headers));
    const batch = { reports: [theirs, mine, name("finance")].map(report) };
    const { body } = await service.post("/v1/agent-health-check/batch", batch, headers);
    expect(body.results.map(({ problem }: { problem?: { code: string } }) => problem?.code)).toEqual([
      "forbidden",
      undefined,
      "forbidden",
    ]);
    expect((await service.get(at(theirs))).body.healthStatus).toBe("UNKNOWN");
    expect((await service.get(at(mine, "/health-history"), headers)).body.items).toHaveLength(1);
    await refused(403, () => service.get(at(theirs, "/health-history"), headers));
  });

  test("pulls from its own inbox, and from nobody else's, though it holds the lease tokens", async () => {
    const headers = await sales();
    const { aiAgentAddress: theirs } = await make.inbox({ aiAgentAddress: name("finance") });
    await make.message({ recipientAddress: theirs });
    await refused(403, () => service.post(at(theirs, "/messages/pull"), {}, headers));
    const [{ leaseToken }] = await make.pull(theirs);
    const leaseTokens = [leaseToken];
    await refused(403, () => service.post(at(theirs, "/messages/ack"), { leaseTokens }, headers));
    await refused(403, () => service.post(at(theirs, "/messages/nack"), { leaseTokens }, headers));
    await refused(403, () => service.post(at(theirs, "/messages/extend"), { leaseTokens, leaseSeconds: 60 }, headers));
    // Nor with the token of another inbox at its own.
    const { aiAgentAddress: mine } = await make.inbox({ aiAgentAddress: name() });
    const before = await tablesOf(service);
    const { body } = await service.post(at(mine, "/messages/ack"), { leaseTokens }, headers);
    expect(body).toMatchObject({ acknowledged: [], refused: [{ code: "lease_expired" }] });
    expect(await tablesOf(service)).toEqual(before);
    await make.message({ recipientAddress: mine });
    const pulled = await service.post(at(mine, "/messages/pull"), {}, headers);
    expect(pulled.body.messages).toHaveLength(1);
    const own = { leaseTokens: [pulled.body.messages[0].leaseToken] };
    expect((await service.post(at(mine, "/messages/ack"), own, headers)).body.acknowledged).toHaveLength(1);
  });

  test("sees a message as its sender and as its recipient, and no other, by id, in lists and by filters", async () => {
    const headers = await sales();
    const [mine, theirs] = [name(), name("finance")];
    for (const aiAgentAddress of [mine, theirs]) await make.inbox({ aiAgentAddress });
    const sent = await make.message({ recipientAddress: theirs, senderAddress: mine, correlationId: "c" });
    const received = await make.message({ recipientAddress: mine, senderAddress: theirs, correlationId: "c" });
    const hidden = await make.message({ recipientAddress: theirs, senderAddress: theirs, correlationId: "c" });
    const ended = await make.message({ recipientAddress: theirs, senderAddress: theirs, correlationId: "c" });
    for (const { messageId } of [received, ended]) await service.post(`/v1/messages/${messageId}/cancel`);
    const ids = async (query: string) =>
      (await service.get(`/v1/messages?${query}`, headers)).body.items.map(({ messageId }: never) => messageId);
    expect(await ids("")).toEqual([received.messageId, sent.messageId]);
    expect(await ids("correlationId=c")).toEqual([received.messageId, sent.messageId]);
    expect(await ids(`recipientAddress=${theirs}`)).toEqual([sent.messageId]);
    expect(await ids(`senderAddress=${theirs}`)).toEqual([received.messageId]);
    expect(await ids(`senderAddress=${theirs}&recipientAddress=${theirs}`)).toEqual([]);
    expect(await ids(`recipientAddress=${mine}`)).toEqual([received.messageId]);
    for (const { messageId } of [sent, received])
      expect((await service.get(`/v1/messages/${messageId}`, headers)).status).toBe(200);
    const answer = await service.get(`/v1/messages/${hidden.messageId}`, headers);
    expect(answer).toMatchObject({ status: 404, body: { code: "message_not_found" } });
    expect((await service.get(`/v1/messages/${ended.messageId}`, headers)).status).toBe(404);
    // As of one that never was: nothing tells the two apart.
    const never = await service.get(`/v1/messages/${randomUUID()}`, headers);
    expect(Object.keys(answer.body)).toEqual(Object.keys(never.body));
  });

  test("known by name alone pages through the same, each message once, and by a limited key through less", async () => {
    const [a, b, theirs] = [name("a"), name("b"), name("c")];
    for (const aiAgentAddress of [a, b, theirs]) await make.inbox({ aiAgentAddress });
    const routes = [
      [a, b],
      [theirs, a],
      [b, theirs],
      [theirs, theirs],
      [a, a],
      [b, b],
    ];
    const sent: string[] = [];
    for (const [senderAddress, recipientAddress] of routes)
      sent.push((await make.message({ senderAddress, recipientAddress })).messageId);
    // Half of them are in the archive.
    for (const messageId of sent.slice(0, 4)) await service.post(`/v1/messages/${messageId}/cancel`);
    const seen = async (headers: Headers_) => {
      const ids: string[] = [];
      for (let token = ""; ; ) {
        const { body } = await service.get(`/v1/messages?pageSize=2${token && `&pageToken=${token}`}`, headers);
        ids.push(...body.items.map(({ messageId }: { messageId: string }) => messageId));
        if (!body.nextPageToken) return ids.toReversed();
        token = body.nextPageToken;
      }
    };
    const { principalId } = await make.principal({ addresses: [a, b] });
    const headers = async (key: object) => ({ "x-cams-key": (await make.key(principalId, { ...key })).key });
    const only = (...indexes: number[]) => indexes.map((index) => sent[index]);
    expect(await seen(await headers({}))).toEqual(only(0, 1, 2, 4, 5));
    expect(await seen(await headers({ addresses: [b] }))).toEqual(only(0, 2, 5));
    expect(await seen(await agentFor("nobody@corp.example"))).toEqual([]);
  });

  test("cancels what it sent, not what it got: 403, and what it may not see: 404", async () => {
    const headers = await sales();
    const [mine, theirs] = [name(), name("finance")];
    for (const aiAgentAddress of [mine, theirs]) await make.inbox({ aiAgentAddress });
    const cancel = (messageId: string) => service.post(`/v1/messages/${messageId}/cancel`, undefined, headers);
    const sent = await make.message({ recipientAddress: theirs, senderAddress: mine });
    const received = await make.message({ recipientAddress: mine, senderAddress: theirs });
    const hidden = await make.message({ recipientAddress: theirs, senderAddress: theirs });
    await refused(403, () => cancel(received.messageId));
    await refused(404, () => cancel(hidden.messageId));
    expect((await cancel(sent.messageId)).body.status).toBe("CANCELLED");
  });

  test("looks any inbox up, but sees where it leads and how full it is only of its own", async () => {
    const headers = await sales();
    const inboxName = "https://agents.corp.example/secret-path";
    const webhook = { inboxDestinationType: "HTTP_ENDPOINT", inboxName };
    const { aiAgentAddress: theirs } = await make.inbox({ ...webhook, aiAgentAddress: name("finance") });
    const { aiAgentAddress: mine } = await make.inbox({ ...webhook, aiAgentAddress: name() });
    expect((await service.get(at(theirs), headers)).body).not.toHaveProperty("inboxName");
    expect((await service.get(at(mine), headers)).body).toMatchObject({ inboxName, pendingMessages: 0 });
    const { body } = await service.get("/v1/agent-inboxes", headers);
    expect(body.items.map(({ inboxName }: { inboxName?: string }) => inboxName)).toEqual([inboxName, undefined]);
  });

  test("gives an inbox to its own team, and to no other", async () => {
    const headers = await somebody({ team: "sales", addresses: ["sales-*"] });
    const body = { aiAgentAddress: name(), inboxDestinationType: "PULL_QUEUE" };
    await refused(403, () => service.post("/v1/agent-inboxes", { ...body, ownerTeam: "finance" }, headers));
    const { body: made } = await service.post("/v1/agent-inboxes", body, headers);
    expect(made.ownerTeam).toBe("sales");
    await refused(403, () => service.put(at(body.aiAgentAddress), { ownerTeam: "finance" }, headers));
    await refused(403, () => service.put(at(body.aiAgentAddress), { ownerTeam: null }, headers));
    expect((await service.put(at(body.aiAgentAddress), { ownerTeam: "sales" }, headers)).status).toBe(200);
  });
});

test("a pattern means the same to the database, which lists, and to the service, which lets through", async () => {
  const addresses = ["a_b", "axb", "a\\_b", "a*b", "a_bb", "xa_b", "a_b@c", "a'b", "a\\b", "ab"];
  const patterns = ["a_b", "a_*", "a*b", "*_b", "a\\*", "*", "a'*", "*@*", "**b", "a*_*b"];
  const ids = new Map<string, string>();
  for (const address of addresses) {
    await make.inbox({ aiAgentAddress: address });
    ids.set((await make.message({ recipientAddress: address, senderAddress: "nobody" })).messageId, address);
  }
  for (const pattern of patterns) {
    const headers = await agentFor(pattern, "of-another-*");
    const { body } = await service.get("/v1/messages", headers);
    const listed = body.items.map(({ messageId }: { messageId: string }) => ids.get(messageId));
    expect(listed.toSorted(), pattern).toEqual(addresses.filter((address) => matches(pattern, address)).toSorted());
  }
});

describe("an operator of the team sales", () => {
  test("does for its team's inboxes what their agents do, and to nobody else's", async () => {
    const headers = await operatorOf("sales");
    const { aiAgentAddress: ours } = await make.inbox({ ownerTeam: "sales" });
    const { aiAgentAddress: theirs } = await make.inbox({ ownerTeam: "finance" });
    const { aiAgentAddress: nobodys } = await make.inbox();
    const acts: ((address: string) => Promise<{ status: number; body: { code: string } }>)[] = [
      (address) => service.put(at(address), { description: "ours" }, headers),
      (address) => service.post(at(address, "/messages/pull"), {}, headers),
      (address) =>
        service.post(at(address, "/messages/ack"), { leaseTokens: [`${randomUUID()}.${randomUUID()}`] }, headers),
      (address) => service.post(at(address, "/messages/redrive"), {}, headers),
      (address) => service.get(at(address, "/health-history"), headers),
      (aiAgentAddress) => service.post("/v1/agent-health-check", { aiAgentAddress, status: "HEALTHY" }, headers),
      (senderAddress) =>
        service.post("/v1/messages", { recipientAddress: nobodys, senderAddress, payload: {} }, headers),
      (address) => service.delete(at(address), headers),
    ];
    for (const act of acts) {
      for (const address of [theirs, nobodys]) await refused(403, () => act(address));
      const { status, body } = await act(ours);
      expect(status, JSON.stringify(body)).toBeLessThan(300);
    }
  });

  test("asks without locking anything: neither it nor anybody else waits", async () => {
    const headers = await operatorOf("sales");
    const { aiAgentAddress } = await make.inbox({ ownerTeam: "sales" });
    const holder = new pg.Client(service.databaseUrl);
    await holder.connect();
    await holder.query("begin");
    await holder.query("select from cams.agent_inboxes where ai_agent_address = $1 for no key update", [
      aiAgentAddress,
    ]);
    const history = (asked: Headers_) => service.get(at(aiAgentAddress, "/health-history"), asked);
    expect((await history(headers)).status).toBe(200);
    expect((await history(guarded.key("foreignOperator"))).status).toBe(403);
    await holder.query("rollback");
    await holder.end();
  });

  test("reports with others for the same inboxes, its own and its team's, and nothing deadlocks", async () => {
    const own = Array.from({ length: 5 }, (_, n) => `a${n}@corp.example`);
    const teams = Array.from({ length: 5 }, (_, n) => `b${n}@corp.example`);
    for (const aiAgentAddress of own) await make.inbox({ aiAgentAddress });
    for (const aiAgentAddress of teams) await make.inbox({ aiAgentAddress, ownerTeam: "sales" });
    const operator = await somebody({ role: "operator", team: "sales", addresses: own });
    const reports = [...own, ...teams].map((aiAgentAddress) => ({ aiAgentAddress, status: "HEALTHY" }));
    let slowest = 0;
    const many = async (headers: Headers_) => {
      for (let n = 0; n < 10; n++) {
        const start = performance.now();
        const { body } = await service.post("/v1/agent-health-check/batch", { reports }, headers);
        slowest = Math.max(slowest, performance.now() - start);
        expect(body.results.filter(({ inbox }: { inbox?: object }) => inbox)).toHaveLength(10);
      }
    };
    await Promise.all([many(operator), many(guarded.key("agent")), many(guarded.key("agent"))]);
    // A deadlock takes a second to be found.
    expect(slowest).toBeLessThan(900);
  });

  test("404 for an address that is not registered, but 403 as its sender", async () => {
    const headers = await operatorOf("sales");
    await refused(404, () => service.post(at(name(), "/messages/pull"), {}, headers));
    await refused(404, () => service.delete(at(name()), headers));
    const { aiAgentAddress: recipientAddress } = await make.inbox();
    const body = { recipientAddress, senderAddress: name(), payload: {} };
    await refused(403, () => service.post("/v1/messages", body, headers));
  });

  test("sees and cancels messages from and to its team's inboxes, and no others", async () => {
    const headers = await operatorOf("sales");
    const { aiAgentAddress: ours } = await make.inbox({ ownerTeam: "sales" });
    const { aiAgentAddress: theirs } = await make.inbox({ ownerTeam: "finance" });
    const to = await make.message({ recipientAddress: ours, senderAddress: theirs });
    const from = await make.message({ recipientAddress: theirs, senderAddress: ours });
    const hidden = await make.message({ recipientAddress: theirs, senderAddress: theirs });
    const { body } = await service.get("/v1/messages", headers);
    expect(body.items.map(({ messageId }: never) => messageId)).toEqual([from.messageId, to.messageId]);
    const cancel = (messageId: string) => service.post(`/v1/messages/${messageId}/cancel`, undefined, headers);
    await refused(404, () => cancel(hidden.messageId));
    for (const { messageId } of [to, from]) expect((await cancel(messageId)).status).toBe(200);
  });

  test.each([
    [
      "change",
      (address: string, headers: Headers_) => service.put(at(address), { description: "still ours" }, headers),
    ],
    ["deletion", (address: string, headers: Headers_) => service.delete(at(address), headers)],
    ["redrive", (address: string, headers: Headers_) => service.post(at(address, "/messages/redrive"), {}, headers)],
  ])("loses an inbox the moment it is given to another team, though its own %s was under way", async (_, act) => {
    const headers = await operatorOf("sales");
    const { aiAgentAddress } = await make.inbox({ ownerTeam: "sales" });
    const { messageId } = await make.message({ recipientAddress: aiAgentAddress });
    await service.sql("update cams.messages set last_attempt = true, lease_token = message_id, leased_at = now()");
    const headersOfSystem = await guarded.systemToken();
    const swept = await fetch(`${service.url}/v1/agent-health-sweep`, { method: "POST", headers: headersOfSystem });
    expect(await swept.json()).toMatchObject({ deadLettered: 1 });
    const admin = new pg.Client(service.databaseUrl);
    await admin.connect();
    await admin.query("begin");
    // As a key is changed: it is waited for by whoever would refer to it, too.
    await admin.query("select from cams.agent_inboxes where ai_agent_address = $1 for update", [aiAgentAddress]);
    await admin.query("update cams.agent_inboxes set owner_team = 'finance' where ai_agent_address = $1", [
      aiAgentAddress,
    ]);
    const acted = act(aiAgentAddress, headers);
    await delay(200);
    await admin.query("commit");
    await admin.end();
    expect([403, 404]).toContain((await acted).status);
    expect((await service.get(at(aiAgentAddress))).body).toMatchObject({ ownerTeam: "finance", revision: 1 });
    expect((await service.get(`/v1/messages/${messageId}`)).body.status).toBe("DEAD_LETTERED");
  });

  test("reads the audit of its team's things, those it has lost included, and no other's", async () => {
    const headers = await operatorOf("sales");
    const { aiAgentAddress } = await make.inbox({ ownerTeam: "sales" });
    await make.inbox({ ownerTeam: "finance" });
    await service.put(at(aiAgentAddress), { ownerTeam: "finance" });
    await service.put(at(aiAgentAddress), { description: "seen by finance only" });
    const { body } = await service.get("/v1/audit", headers);
    expect(body.items.map(({ action, resourceId }: never) => [action, resourceId])).toEqual([
      ["updated", aiAgentAddress],
      ["created", aiAgentAddress],
    ]);
    await refused(403, () => service.get("/v1/audit/verify", headers));
  });
});

describe("a key", () => {
  test("limited to addresses speaks for these alone, as an agent, whatever its principal may", async () => {
    const [mine, other] = [name(), name()];
    for (const aiAgentAddress of [mine, other]) await make.inbox({ aiAgentAddress, ownerTeam: "sales" });
    for (const role of ["agent", "admin"]) {
      const headers = await somebody({ role, team: "sales", addresses: ["sales-*"] }, { addresses: [mine] });
      expect((await service.post(at(mine, "/messages/pull"), {}, headers)).status).toBe(200);
      await refused(403, () => service.post(at(other, "/messages/pull"), {}, headers));
      await refused(403, () => service.get("/v1/principals", headers));
      // Whose principal may all that is told that it is the key.
      const { body } = await service.post(at(other, "/messages/pull"), {}, headers);
      expect(body.detail).toMatch(/^This key of principal-\S+ does not act for /);
      expect((await service.get("/v1/principals", headers)).body.detail).toBe(
        "This takes the role admin: a key limited to addresses is an agent's.",
      );
    }
    const wide = await somebody({ addresses: [mine] }, { addresses: ["*"] });
    await refused(403, () => service.post(at(other, "/messages/pull"), {}, wide));
  });

  test("ends when it should, to the millisecond of the database's clock", async () => {
    const end = Date.now() + 2500;
    const headers = await somebody({}, { expiresAt: new Date(end).toISOString() });
    const ask = async () => (await service.get("/v1/agent-inboxes", headers)).status;
    expect(await ask()).toBe(200);
    await delay(end - Date.now() + 20);
    expect(await ask()).toBe(401);
  });

  test("400 when it would have ended already", async () => {
    const { principalId } = await make.principal();
    const body = { expiresAt: new Date(Date.now() - 1000).toISOString() };
    await refused(400, () => service.post(`/v1/principals/${principalId}/keys`, body));
  });

  test("revoked is refused at once, by every process, and so is whoever waits with it", async () => {
    const second = await startSecond(guarded);
    try {
      const mine = name();
      await make.inbox({ aiAgentAddress: mine });
      const { principalId } = await make.principal({ addresses: [mine] });
      const { key, keyId } = await make.key(principalId);
      const headers = { "x-cams-key": key };
      const pull = (at_: typeof service, waitSeconds = 0) =>
        at_.post(at(mine, "/messages/pull"), { waitSeconds }, headers);
      for (const process of [service, second]) expect((await pull(process)).status).toBe(200);
      const waiting = pull(second, 20);
      // It keeps the look-up fresh in both, up to the last moment.
      const asking = setInterval(() => void pull(second).catch(() => {}), 20);
      await delay(200);
      expect((await service.delete(`/v1/principals/${principalId}/keys/${keyId}`)).status).toBe(204);
      const answers = await Promise.all([pull(service), pull(second)]);
      clearInterval(asking);
      expect(answers.map(({ status }) => status)).toEqual([401, 401]);
      await make.message({ recipientAddress: mine });
      expect((await waiting).status).toBe(401);
      expect(await make.pull(mine)).toHaveLength(1);
    } finally {
      await second.close();
    }
  });

  test("of a principal whose role is lowered may less at once", async () => {
    const { principalId } = await make.principal({ role: "admin" });
    const headers = { "x-cams-key": (await make.key(principalId)).key };
    expect((await service.get("/v1/principals", headers)).status).toBe(200);
    await service.put(`/v1/principals/${principalId}`, { role: "agent" });
    await refused(403, () => service.get("/v1/principals", headers));
    await service.delete(`/v1/principals/${principalId}`);
    await refused(401, () => service.get("/v1/agent-inboxes", headers));
  });
});

test("what is made and changed bears the name of who did it", async () => {
  const { principalId } = await make.principal({ team: "sales", addresses: ["sales-*"] });
  const headers = { "x-cams-key": (await make.key(principalId)).key };
  const body = { aiAgentAddress: name(), inboxDestinationType: "PULL_QUEUE" };
  expect((await service.post("/v1/agent-inboxes", body, headers)).body.updatedBy).toBe(principalId);
  const [entry] = (await service.get(`/v1/audit?resourceId=${body.aiAgentAddress}`)).body.items;
  expect(entry).toMatchObject({ actor: principalId, action: "created" });
});
