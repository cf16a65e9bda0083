import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { makerFor } from "../support/make.ts";

const guarded = useGuardedService({ LOG_LEVEL: "DEBUG" });
const { service } = guarded;
const make = makerFor(service);

let written: string;
beforeEach(() => {
  written = "";
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, "write").mockImplementation((text) => {
      written += text;
      return true;
    });
});
afterEach(() => vi.restoreAllMocks());

const at = (principalId: string, rest = "") => `/v1/principals/${encodeURIComponent(principalId)}${rest}`;

describe("a principal", () => {
  test("is put, put again, read with its keys, listed, and deleted with them", async () => {
    const body = { role: "agent", team: "sales", addresses: ["Sales-*@Corp.example"] };
    const put = await service.put(at("Ann@Corp.example"), body);
    expect(put.body).toMatchObject({ principalId: "ann@corp.example", ...body, addresses: ["sales-*@corp.example"] });
    expect(put.body).toMatchObject({ updatedBy: "admin", revision: 1 });
    expect((await service.put(at("ann@corp.example"), body)).body).toEqual(put.body);
    const { body: changed } = await service.put(at("ann@corp.example"), { role: "operator" });
    expect(changed).toMatchObject({ role: "operator", addresses: [], revision: 2 });
    expect(changed).not.toHaveProperty("team");

    const first = await make.key("ann@corp.example", { description: "first" });
    const second = await make.key("ann@corp.example", { addresses: ["A@corp.example"] });
    const { body: read, headers } = await service.get(at("ann@corp.example"));
    expect(read.keys.map(({ keyId }: { keyId: string }) => keyId)).toEqual([second.keyId, first.keyId]);
    expect(read.keys[0]).toMatchObject({ addresses: ["a@corp.example"], createdBy: "admin" });
    expect(headers.get("etag")).toBe('"4"');
    const { body: list } = await service.get("/v1/principals?role=operator");
    expect(list.items.map(({ principalId }: { principalId: string }) => principalId)).toContain("ann@corp.example");

    expect((await service.delete(at("ann@corp.example"))).status).toBe(204);
    expect(await service.sql("select from cams.api_keys where principal_id = 'ann@corp.example'")).toEqual([]);
  });

  test("of another issuer has its case kept, and everything a subject may have in its path", async () => {
    const id = "login.corp.example/realms/A|repo:Org/Repo%20:ref";
    expect((await service.put(at(id), { role: "agent" })).body.principalId).toBe(id);
    expect((await service.get(at(id))).status).toBe(200);
    expect((await service.get(at(id.toLowerCase()))).status).toBe(404);
  });

  test.each([
    ["cams", { role: "agent" }],
    ["local", { role: "agent" }],
    ["anonymous", { role: "agent" }],
    ["two words", { role: "agent" }],
    ["\u0130".repeat(200), { role: "agent" }],
    ["ann", { role: "agent", addresses: ["\u0130".repeat(200)] }],
    ["a".repeat(256), { role: "agent" }],
    ["ann", { role: "system" }],
    ["ann", { role: "public" }],
    ["ann", {}],
    ["ann", { role: "agent", addresses: ["a b"] }],
    ["ann", { role: "agent", addresses: Array(101).fill("a") }],
    ["ann", { role: "agent", admin: true }],
  ])("400 and nothing made: %s %j", async (id, body) => {
    expect((await service.put(at(id), body)).status).toBe(400);
    expect(await service.sql("select from cams.principals where updated_by <> 'test'")).toEqual([]);
  });

  test("304 while it is as the client knows it, 200 after a key was made or revoked", async () => {
    await make.principal({ principalId: "ann" });
    const read = (etag: string) => service.get(at("ann"), { "if-none-match": etag });
    const etag = (await service.get(at("ann"))).headers.get("etag") as string;
    for (const known of [etag, `W/${etag}`, "*", `"77", ${etag}`]) {
      const answer = await read(known);
      expect(answer).toMatchObject({ status: 304, body: "" });
      expect(answer.headers.get("etag")).toBe(etag);
    }
    for (const unknown of ['"77"', "1", ""]) expect((await read(unknown)).status).toBe(200);
    const { keyId } = await make.key("ann");
    expect((await read(etag)).status).toBe(200);
    const later = (await service.get(at("ann"))).headers.get("etag") as string;
    expect((await read(later)).status).toBe(304);
    await service.delete(at("ann", `/keys/${keyId}`));
    expect((await read(later)).status).toBe(200);
  });

  test("made anew under the same id is not taken for the one before: 200 and 412 by its ETag", async () => {
    const first = await service.put(at("reborn"), { role: "admin" });
    const etag = first.headers.get("etag") as string;
    await service.delete(at("reborn"));
    await service.put(at("reborn"), { role: "agent" });
    expect((await service.get(at("reborn"), { "if-none-match": etag })).status).toBe(200);
    expect((await service.put(at("reborn"), { role: "admin" }, { "if-match": etag })).status).toBe(412);
  });

  test("that deletes itself is unknown afterwards", async () => {
    const { principalId } = await make.principal({ role: "admin" });
    const headers = { "x-cams-key": (await make.key(principalId)).key };
    expect((await service.delete(at(principalId), headers)).status).toBe(204);
    expect((await service.get("/v1/principals", headers)).status).toBe(401);
  });
});

describe("a key", () => {
  test("is shown once: a repetition of the call has its id, not the key", async () => {
    const { principalId } = await make.principal();
    const call = () => service.post(at(principalId, "/keys"), {}, { "idempotency-key": "k" });
    const first = await call();
    expect(first.body.key).toMatch(/^cams_[0-9a-f-]{36}_[\w-]{43}$/);
    expect(first.body.key).toContain(first.body.keyId);
    const again = await call();
    expect(again.body).toEqual({ ...first.body, key: undefined });
    expect((await service.get(at(principalId))).body.keys).toHaveLength(1);
  });

  test("is in no line of the log, at DEBUG, whether it is right, wrong, or sent where it does not belong", async () => {
    const { principalId } = await make.principal();
    const { key } = await make.key(principalId);
    const secret = key.slice(-43);
    const token = await guarded.issuer.mint({ sub: "stranger" });
    await service.get("/v1/agent-inboxes", { "x-cams-key": key });
    await service.get("/v1/agent-inboxes", { "x-cams-key": `${key}x` });
    await service.get("/v1/agent-inboxes", { "x-cams-key": "", authorization: `Bearer ${key}` });
    await service.get("/v1/agent-inboxes", { "x-cams-key": key, authorization: `Bearer ${token}` });
    await service.post("/v1/agent-inboxes", { aiAgentAddress: "a" }, { "x-cams-key": key, "idempotency-key": key });
    const answers = [
      await service.post("/v1/agent-inboxes", {}, { "x-cams-key": key }),
      await service.get("/v1/agent-inboxes", { "x-cams-key": `${key}x` }),
    ];
    expect(JSON.stringify(answers.map(({ body }) => body))).not.toContain(secret);
    expect(written).toContain("principals.key");
    expect(written).not.toContain(secret);
    expect(written).not.toContain(token.split(".")[2]);
  });

  test("that may not do what it asks for is named in the log all the same", async () => {
    written = "";
    await service.get("/v1/principals", guarded.key("agent"));
    const line = written.split("\n").find((line) => line.includes('"httpRequest"')) as string;
    expect(JSON.parse(line)).toMatchObject({ principal: "agent", outcome: "forbidden" });
  });

  test("of several made at once for the last place one is made, though all have waited for the same row", async () => {
    const { principalId } = await make.principal();
    await service.sql(
      `insert into cams.api_keys (key_id, principal_id, secret_hash, created_at, created_by)
       select cams.uuid7(now()), $1, sha256('x'), now(), 'test' from generate_series(1, 99)`,
      [principalId],
    );
    const holder = new pg.Client(service.databaseUrl);
    await holder.connect();
    await holder.query("begin");
    await holder.query("update cams.principals set team = 'x' where principal_id = $1", [principalId]);
    const calls = [1, 2, 3, 4].map(() => service.post(at(principalId, "/keys"), {}));
    await delay(300);
    await holder.query("commit");
    await holder.end();
    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409]);
  });

  test("limited to as many and as long addresses as may be takes idempotency keys too", async () => {
    const addresses = Array.from({ length: 100 }, (_, n) => `${n}-${randomBytes(120).toString("hex")}`);
    const { principalId } = await make.principal({ addresses: ["*"] });
    const { key } = await make.key(principalId, { addresses });
    const body = { aiAgentAddress: addresses[0], inboxDestinationType: "PULL_QUEUE" };
    const headers = { "x-cams-key": key, "idempotency-key": "k" };
    expect((await service.post("/v1/agent-inboxes", body, headers)).status).toBe(201);
    expect((await service.post("/v1/agent-inboxes", body, headers)).headers.get("idempotent-replayed")).toBe("true");
  });

  test("is revoked by its own principal's path alone", async () => {
    const [one, other] = [await make.principal(), await make.principal()];
    const { key, keyId } = await make.key(one.principalId);
    const answer = await service.delete(at(other.principalId, `/keys/${keyId}`));
    expect(answer).toMatchObject({ status: 404, body: { code: "key_not_found" } });
    expect((await service.get("/v1/agent-inboxes", { "x-cams-key": key })).status).toBe(200);
  });

  test("limited in another way does not get the answer that was kept for it", async () => {
    const address = "limited@corp.example";
    const { principalId } = await make.principal({ addresses: ["*"] });
    const [all, one] = [await make.key(principalId), await make.key(principalId, { addresses: ["b"] })];
    const body = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE" };
    const call = (key: string) =>
      service.post("/v1/agent-inboxes", body, { "x-cams-key": key, "idempotency-key": "same" });
    expect((await call(all.key)).status).toBe(201);
    expect((await call(one.key)).status).toBe(403);
    expect((await call(all.key)).headers.get("idempotent-replayed")).toBe("true");
  });
});
