import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);

const entries = async (query = "") => (await service.get(`/v1/audit${query}`)).body.items;
const verified = async () => (await service.get("/v1/audit/verify")).body;

describe("an entry", () => {
  test("says who did what to which inbox, by which request and function, with before and after", async () => {
    const { aiAgentAddress: address } = await make.inbox({ ownerTeam: "sales" });
    const headers = { "x-request-id": "request-7" };
    await service.put(`/v1/agent-inboxes/${address}`, { maxDeliveryAttempts: 7 }, headers);
    const [updated, created] = await entries();
    expect(created).toMatchObject({ sequence: 1, action: "created", actor: "local", source: "inboxes-register" });
    expect(created).not.toHaveProperty("before");
    expect(updated).toMatchObject({
      sequence: 2,
      action: "updated",
      actor: "local",
      resourceType: "inbox",
      resourceId: address,
      ownerTeam: "sales",
      source: "inboxes-update",
      requestId: "request-7",
      before: { maxDeliveryAttempts: 20, revision: 1 },
      after: {
        maxDeliveryAttempts: 7,
        revision: 2,
        aiAgentAddress: address,
        lastUpdatedTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
      },
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(updated.databaseUser).toMatch(/\w/);
  });

  test("is made by a deletion, a rotation, and each change of a principal and its keys", async () => {
    const { aiAgentAddress } = await make.inbox({
      inboxDestinationType: "HTTP_ENDPOINT",
      inboxName: "https://agents.corp.example/inbox",
    });
    await service.post(`/v1/agent-inboxes/${aiAgentAddress}/rotate-secret`);
    await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    await service.put("/v1/principals/ann@corp.example", { role: "agent" });
    await service.put("/v1/principals/ann@corp.example", { role: "operator", team: "sales" });
    await service.put("/v1/principals/ann@corp.example", { role: "operator", team: "sales" });
    const { keyId } = await make.key("ann@corp.example");
    await service.delete(`/v1/principals/ann@corp.example/keys/${keyId}`);
    await make.key("ann@corp.example");
    await service.delete("/v1/principals/ann@corp.example");
    const told = (await entries()).map(
      ({ resourceType, action }: Record<string, string>) => `${resourceType} ${action}`,
    );
    expect(told.toReversed()).toEqual([
      "inbox created",
      "inbox secret_rotated",
      "inbox deleted",
      "principal created",
      "principal updated",
      "api_key created",
      "api_key deleted",
      "api_key created",
      "principal deleted",
      "api_key deleted",
    ]);
    expect(new Set((await entries()).map(({ actor }: { actor: string }) => actor))).toEqual(new Set(["local"]));
  });

  test("is made by each of many rotations at once", async () => {
    const webhook = { inboxDestinationType: "HTTP_ENDPOINT", inboxName: "https://agents.corp.example/inbox" };
    const { aiAgentAddress } = await make.inbox(webhook);
    const rotate = () => service.post(`/v1/agent-inboxes/${aiAgentAddress}/rotate-secret`);
    const answers = await Promise.all(Array.from({ length: 30 }, rotate));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(30);
    expect(await entries("?action=secret_rotated&pageSize=100")).toHaveLength(30);
  });

  test("says why the service itself deactivated a webhook, and that nobody asked it to", async () => {
    const gone = await startReceiver((_, res) => res.writeHead(410).end());
    const { aiAgentAddress } = await make.inbox({ inboxDestinationType: "HTTP_ENDPOINT", inboxName: gone.url });
    await make.message({ recipientAddress: aiAgentAddress });
    await service.post("/v1/messages/deliver");
    expect((await entries())[0]).toMatchObject({
      actor: "cams",
      source: "cams",
      action: "updated",
      after: { adminStatus: "INACTIVE" },
      reason: "its destination answered 410 Gone",
    });
  });

  test("is not made by health, by messages, or by a change that changes nothing", async () => {
    const { aiAgentAddress } = await make.inbox();
    await service.post("/v1/agent-health-check", { aiAgentAddress, status: "UNHEALTHY" });
    await make.message({ recipientAddress: aiAgentAddress });
    await make.pull(aiAgentAddress);
    await service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "ACTIVE" });
    expect(await entries()).toHaveLength(1);
  });

  test("has the reason that was given by hand, and never one that was not", async () => {
    const { aiAgentAddress } = await make.inbox();
    await service.post("/v1/agent-health-check", { aiAgentAddress, status: "HEALTHY", details: "all fine" });
    const set = (status: string) => `update cams.agent_inboxes set admin_status = '${status}'`;
    await service.sql(set("INACTIVE"));
    expect((await entries())[0]).not.toHaveProperty("reason");
    await service.sql(`begin; set local cams.reason = 'incident 7'; ${set("ACTIVE")}, status_reason = 'again'; commit`);
    expect((await entries())[0].reason).toBe("incident 7");
  });

  test("is never older than the one before it, whatever the server's clock does", async () => {
    await make.inbox();
    await service.sql("update cams.audit_head set at = '2100-01-01'");
    await make.inbox();
    expect((await entries())[0].at).toBe("2100-01-01T00:00:00.000Z");
    expect(await verified()).toMatchObject({ valid: true });
  });

  test.each(["agent_inboxes cascade", "principals cascade", "api_keys", "audit_log"])(
    "cannot be missing because somebody truncated cams.%s",
    async (table) => {
      await expect(service.sql(`truncate cams.${table}`)).rejects.toThrow("is audited");
    },
  );

  test("is not there when the change was not made", async () => {
    const { aiAgentAddress } = await make.inbox();
    await service.put(`/v1/agent-inboxes/${aiAgentAddress}`, { status: "INACTIVE" }, { "if-match": '"9"' });
    await service.post("/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });
    expect(await entries()).toHaveLength(1);
    expect(await verified()).toMatchObject({ valid: true, checked: 1 });
  });

  test("has the database's user as its actor when somebody changes a row past the service", async () => {
    const { aiAgentAddress } = await make.inbox();
    await service.sql("update cams.agent_inboxes set description = 'by hand' where ai_agent_address = $1", [
      aiAgentAddress,
    ]);
    const [{ user }] = (await service.sql("select session_user as user")) as [{ user: string }];
    expect((await entries())[0]).toMatchObject({ actor: user, databaseUser: user, source: "sql" });
  });

  test("has nothing of a key's secret, nor has any other table", async () => {
    const { principalId } = await make.principal();
    const { key, keyId } = await make.key(principalId);
    const secret = key.slice(-43);
    const tables = await service.sql<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'cams'::regnamespace and relkind = 'r'",
    );
    for (const { name } of tables) {
      const [{ there }] = (await service.sql(
        `select count(*)::int as there from cams.${name} t where strpos(t::text, $1) > 0`,
        [secret],
      )) as [{ there: number }];
      expect(there, name).toBe(0);
    }
    const [entry] = await entries(`?resourceId=${keyId}`);
    expect(entry.after).not.toHaveProperty("secretHash");
    expect(JSON.stringify(await service.get(`/v1/principals/${principalId}`))).not.toContain(secret);
  });
});

describe("a transaction of many changes", () => {
  test("10,000 rows: an entry for each, in one chain, in seconds", async () => {
    await service.sql(`
      insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
        last_updated_timestamp, updated_by)
      select 'bulk-' || n, 'PULL_QUEUE', 'a', now(), now(), 'test' from generate_series(1, 10000) n`);
    await make.inbox();
    expect(await verified()).toMatchObject({ valid: true, checked: 10_001, head: { sequence: 10_001 } });
  }, 20_000);

  test("costs the same over a long log: no decision reads it through", async () => {
    await service.sql(`begin; set local session_replication_role = replica;
      insert into cams.audit_log (sequence, at, entry, hash)
      select n, now(), '{"actor": "a", "action": "b", "resourceType": "c", "resourceId": "d"}', sha256('x')
      from generate_series(1, 50000) n;
      update cams.audit_head set sequence = 50000; commit`);
    await service.sql("analyze cams.audit_log");
    await service.sql("insert into cams.principals values ('p', 'agent', null, '{}', now(), now(), 'test')");
    const client = new pg.Client(service.databaseUrl);
    await client.connect();
    const read = async () => {
      await client.query("select pg_stat_force_next_flush()");
      const { rows } = await client.query(
        "select seq_tup_read + idx_tup_fetch as tuples from pg_stat_user_tables where relname = 'audit_log'",
      );
      return Number(rows[0].tuples);
    };
    const before = await read();
    // From the sixth on the same connection on, the triggers' statements may have plans for any values.
    for (let n = 0; n < 20; n++) await client.query("update cams.principals set team = $1", [`${n}`]);
    expect((await read()) - before).toBeLessThan(1000);
    await client.end();
  });

  test("has no entry for what was rolled back to a savepoint, even when that was recorded already", async () => {
    await make.inbox({ aiAgentAddress: "a@corp.example" });
    const change = (description: string) =>
      `update cams.agent_inboxes set description = '${description}' where ai_agent_address = 'a@corp.example';`;
    await service.sql(`
      begin; ${change("1")} savepoint s; ${change("2")} set constraints all immediate; rollback to s;
      set constraints all deferred; ${change("3")} commit`);
    const descriptions = (await entries()).map(({ after }: { after: { description?: string } }) => after.description);
    expect(descriptions).toEqual(["3", "1", undefined]);
    expect(await verified()).toMatchObject({ valid: true, checked: 3 });
  });
});

describe("the list", () => {
  test("pages through everything, newest first, each entry once", async () => {
    for (let n = 0; n < 5; n++) await make.inbox();
    const seen: number[] = [];
    let token = "";
    do {
      const page = await service.get(`/v1/audit?pageSize=2${token && `&pageToken=${token}`}`);
      seen.push(...page.body.items.map(({ sequence }: { sequence: number }) => sequence));
      token = page.body.nextPageToken ?? "";
    } while (token);
    expect(seen).toEqual([5, 4, 3, 2, 1]);
  });

  test("from a time on, that moment included, and up to one, not included", async () => {
    for (let n = 0; n < 3; n++) {
      await make.inbox();
      await delay(5);
    }
    const [third, second, first] = await entries();
    const places = async (query: string) =>
      (await entries(query)).map(({ sequence }: { sequence: number }) => sequence);
    expect(await places(`?after=${second.at}`)).toEqual([3, 2]);
    expect(await places(`?before=${second.at}`)).toEqual([1]);
    expect(await places(`?after=${first.at}&before=${third.at}`)).toEqual([2, 1]);
    expect(await places(`?after=${third.at}&pageSize=1`)).toEqual([3]);
  });

  test.each([
    ["resourceType=principal", 1],
    ["resourceType=inbox", 2],
    ["actor=local", 2],
    ["action=created", 3],
    ["action=deleted", 0],
    ["after=2126-01-01T00:00:00Z", 0],
    ["before=2126-01-01T00:00:00Z", 3],
  ])("%s: %d entries", async (filter, count) => {
    await make.inbox();
    await make.inbox();
    await make.principal();
    expect(await entries(`?${filter}`)).toHaveLength(count);
  });
});

const movedUp = `delete from cams.audit_log where sequence = 3;
  update cams.audit_log set sequence = -sequence where sequence > 3;
  update cams.audit_log set sequence = -sequence - 1 where sequence < 0;
  update cams.audit_head set sequence = 5`;

const tampered: [string, string, number][] = [
  [
    "an entry's actor is changed",
    `update cams.audit_log set entry = entry || '{"actor": "eve"}' where sequence = 3`,
    3,
  ],
  ["an entry's time is changed", "update cams.audit_log set at = at - interval '1 ms' where sequence = 2", 2],
  ["an entry's hash is changed", "update cams.audit_log set hash = sha256('x') where sequence = 4", 4],
  ["an entry is changed with its hash", rehashed(3), 4],
  ["the first is changed", `update cams.audit_log set entry = entry || '{"actor": "eve"}' where sequence = 1`, 1],
  ["the last is changed", `update cams.audit_log set entry = entry || '{"actor": "eve"}' where sequence = 6`, 6],
  ["the last is changed with its hash", rehashed(6), 6],
  ["one in the middle is deleted", "delete from cams.audit_log where sequence = 3", 3],
  ["the first is deleted", "delete from cams.audit_log where sequence = 1", 1],
  ["the last is deleted", "delete from cams.audit_log where sequence = 6", 6],
  ["the last three are deleted", "delete from cams.audit_log where sequence > 3", 4],
  ["all are deleted", "delete from cams.audit_log", 1],
  ["all are deleted and the head is put back to an old end", cutWithHead(0), 1],
  [
    "two have changed places",
    `update cams.audit_log set sequence = -sequence where sequence in (2, 3);
     update cams.audit_log set sequence = 5 + sequence where sequence < 0`,
    2,
  ],
  ["one is added behind the last", added(7), 7],
  ["one is added before the first", added(0), 0],
  ["one is deleted and the rest moved up", movedUp, 3],
  ["the head is gone", "delete from cams.audit_head", 7],
  ["the head's hash is changed", "update cams.audit_head set hash = sha256('x')", 6],
];

describe("audit-verify", () => {
  test("is true of what nobody has touched, from the first entry on", async () => {
    expect(await verified()).toMatchObject({ valid: true, checked: 0, head: { sequence: 0 } });
    for (let n = 0; n < 3; n++) await make.inbox();
    const [last] = await entries();
    expect(await verified()).toEqual({ valid: true, checked: 3, head: { sequence: 3, hash: last.hash } });
  });

  test.each(tampered)("false when %s", async (_, statements, place) => {
    for (let n = 0; n < 6; n++) await make.inbox();
    expect(await verified()).toMatchObject({ valid: true, checked: 6 });
    await service.sql(statements);
    expect(await verified()).toMatchObject({ valid: false, brokenAt: place });
  });

  test.each([
    "'99 00'",
    "'1 ' || repeat('00', 32)",
    "'2 ' || (select encode(hash, 'hex') from cams.audit_log where sequence = 2)",
  ])("true though somebody set what transactions remember their last entry by: to %s", async (forged) => {
    for (let n = 0; n < 3; n++) await make.inbox();
    await service.sql(
      `select set_config('cams.audit_last', ${forged}, false);
         update cams.agent_inboxes set description = 'once'; update cams.agent_inboxes set description = 'twice'`,
    );
    await make.inbox();
    expect(await verified()).toMatchObject({ valid: true, checked: 3 + 2 * 3 + 1 });
    await service.sql("reset all");
  });

  test("goes on where it was broken: later entries are linked to what is there", async () => {
    await make.inbox();
    await service.sql(`update cams.audit_log set entry = entry || '{"actor": "eve"}'`);
    await make.inbox();
    expect(await verified()).toMatchObject({ valid: false, brokenAt: 1, checked: 2 });
  });
});

describe("16 writers at once", () => {
  test("keep the chain whole without a gap or a deadlock, whatever rows they change in whatever order", async () => {
    const inboxes = await Promise.all(Array.from({ length: 8 }, () => make.inbox()));
    const addresses = inboxes.map(({ aiAgentAddress }) => aiAgentAddress as string);
    const statuses: number[] = [];
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let n = 0; n < 20; n++) {
          const address = addresses[(writer * 7 + n * 3) % addresses.length];
          const { status } = await service.put(`/v1/agent-inboxes/${address}`, { description: `${writer} ${n}` });
          statuses.push(status);
        }
      }),
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(await verified()).toMatchObject({ valid: true, checked: 8 + 16 * 20 });
    const deadlocks = await service.sql<{ deadlocks: string }>(
      "select deadlocks from pg_stat_database where datname = current_database()",
    );
    expect(Number(deadlocks[0]?.deadlocks)).toBe(0);
  });

  test("also in transactions of several changes: the chain is locked last, after every row", async () => {
    const inboxes = await Promise.all(Array.from({ length: 17 }, () => make.inbox()));
    const [shared = "", ...own] = inboxes.map(({ aiAgentAddress }) => aiAgentAddress as string);
    const pool = new pg.Pool({ connectionString: service.databaseUrl, max: 16 });
    const change = (address: string) =>
      `update cams.agent_inboxes set max_delivery_attempts = 1 + (max_delivery_attempts + 1) % 9
       where ai_agent_address = '${address}'; select pg_sleep(0.002);`;
    // Locked with the first change, the chain would be held by one who waits for the shared row, whose holder waits for it.
    const both = (address: string, n: number) =>
      n % 2 ? change(address) + change(shared) : change(shared) + change(address);
    await Promise.all(
      own.map(async (address, n) => {
        for (let turn = 0; turn < 10; turn++) await pool.query(both(address, n));
      }),
    );
    await pool.end();
    expect(await verified()).toMatchObject({ valid: true, checked: 17 + 16 * 10 * 2 });
  });
});

function rehashed(sequence: number): string {
  return `
    update cams.audit_log a set
      entry = entry || '{"actor": "eve"}',
      hash = cams.audit_hash((select hash from cams.audit_log where sequence = ${sequence} - 1), sequence, at,
        entry || '{"actor": "eve"}')
    where sequence = ${sequence}`;
}

function cutWithHead(sequence: number): string {
  return `delete from cams.audit_log; update cams.audit_head set sequence = ${sequence}`;
}

function added(sequence: number): string {
  return `insert into cams.audit_log (sequence, at, entry, hash)
    select ${sequence}, at, entry, hash from cams.audit_log where sequence = 6`;
}
