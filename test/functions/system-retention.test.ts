import type pg from "pg";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";
import { archives, nothing, retentionOf } from "./retention.ts";

const service = useService();
const calls = callsFor(service);
const sql = <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => service.sql<T>(text, values);
const { retain, partition, partitions, insertKeys, tidy } = retentionOf(service);
const [messages] = archives;

beforeAll(tidy);
afterEach(async () => {
  vi.restoreAllMocks();
  await tidy();
});

/** The partition of the day (UTC) so many days ago, made if it is not there; answers its name. */
const day = (ago: number) => partition(messages, "now()", -ago);

/** A message to `recipient` that was acknowledged so many days ago. */
async function acknowledged(ago: number, recipient = "reader@corp.example"): Promise<string> {
  await calls.inbox({ aiAgentAddress: recipient });
  const { leaseToken, messageId } = await calls.leased({ recipientAddress: recipient });
  await calls.ack(recipient, leaseToken);
  await service.delete(`/v1/agent-inboxes/${recipient}`);
  const [moved] = await sql<{ id: string }>(
    `update cams.message_archive set message_id = cams.uuid7(accepted_at - make_interval(days => $2)),
       accepted_at = accepted_at - make_interval(days => $2), finished_at = finished_at - make_interval(days => $2)
     where message_id = $1 returning message_id as id`,
    [messageId, ago],
  );
  return moved?.id ?? "";
}

const statusOf = async (id: string) => (await service.get(`/v1/messages/${id}`)).status;

test("days of the archive take their messages along: these are not found any more, all others are, looked up and listed", async () => {
  for (const ago of [30, 31]) await day(ago);
  const [gone, kept, today] = [await acknowledged(31), await acknowledged(30), await acknowledged(0)];
  const live = await calls.message({ recipientAddress: (await calls.inbox()).aiAgentAddress });
  expect(await Promise.all([gone, kept, today].map(statusOf))).toEqual([200, 200, 200]);

  expect((await retain()).body.partitionsDropped).toHaveLength(1);

  expect(await Promise.all([gone, kept, today, live.messageId].map(statusOf))).toEqual([404, 200, 200, 200]);
  const { body } = await service.get("/v1/messages?recipientAddress=reader@corp.example");
  expect(body.items.map(({ messageId }: { messageId: string }) => messageId)).toEqual([today, kept]);
});

describe.each([
  ["one old day", (name: string) => `select from cams.${name}`],
  ["the whole archive", () => "select from cams.message_archive"],
])("while somebody reads %s", (_, reading) => {
  test("sends and acks wait 1.5 s at most, once, and none fails", async () => {
    const name = await day(31);
    await day(32);
    const { aiAgentAddress: address } = await calls.inbox();
    vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    await whileHeld(service, reading(await day(33)), [], async () => {
      let running = true;
      const run = retain().finally(() => {
        running = false;
      });
      const waits: number[] = [];
      await atOnce(4, async () => {
        while (running) {
          const start = performance.now();
          await calls.message({ recipientAddress: address });
          const [pulled] = await calls.pull(address, { maxMessages: 1 });
          if (pulled) expect((await calls.ack(address, pulled.leaseToken)).body.acknowledged).toHaveLength(1);
          waits.push(performance.now() - start);
        }
      });
      expect((await run).body.partitionsLeft).toContain(name);
      expect(waits.length).toBeGreaterThanOrEqual(4);
      expect(Math.max(...waits)).toBeLessThan(3000);
      expect(waits.filter((milliseconds) => milliseconds > 1000).length).toBeLessThanOrEqual(4);
    });
    expect(await calls.failedStatements()).toEqual([]);
  });
});

describe("keys", () => {
  test("that lapsed go, live ones stay and answer again what they answered first", async () => {
    const inbox = { aiAgentAddress: calls.address(), inboxDestinationType: "PULL_QUEUE" };
    const register = (key: string, body = inbox) => service.post("/v1/agent-inboxes", body, { "idempotency-key": key });
    const message = { recipientAddress: inbox.aiAgentAddress, senderMessageId: "live" };
    await register("live");
    await register("lapsed", { ...inbox, aiAgentAddress: calls.address() });
    const first = await calls.send(message);
    await calls.send({ ...message, senderMessageId: "lapsed" });
    await sql("update cams.idempotency_keys set kept_until = now() where key = 'lapsed'");
    await sql("update cams.message_keys set kept_until = now() where sender_message_id = 'lapsed'");
    await sql("update cams.idempotency_keys set kept_until = now() + interval '5 s' where key = 'live'");
    await sql("update cams.message_keys set kept_until = now() + interval '5 s' where sender_message_id = 'live'");

    expect((await retain()).body).toEqual({ ...nothing, idempotencyKeysDeleted: 1, messageKeysDeleted: 1 });

    expect(await sql("select key from cams.idempotency_keys")).toEqual([{ key: "live" }]);
    expect(await sql("select sender_message_id as id from cams.message_keys")).toEqual([{ id: "live" }]);
    const again = await register("live");
    expect(again).toMatchObject({ status: 201, body: inbox });
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await calls.send(message)).body).toEqual(first.body);
  });

  test("of which 20,000 lapsed all go in one run", async () => {
    await insertKeys(20_000);
    await sql(`
      insert into cams.message_keys select 's', n::text, gen_random_uuid(), '', 'a', now(), now(),
        now() - interval '1 s' from generate_series(1, 20000) n`);
    expect((await retain()).body).toEqual({ ...nothing, idempotencyKeysDeleted: 20_000, messageKeysDeleted: 20_000 });
  });

  test("that somebody holds just now are left, and nobody waits", async () => {
    await insertKeys(3);
    const held = "select from cams.idempotency_keys where key = '2' for update";
    await whileHeld(service, held, [], async () => {
      expect((await retain()).body).toEqual({ ...nothing, idempotencyKeysDeleted: 2 });
    });
    expect((await retain()).body).toEqual({ ...nothing, idempotencyKeysDeleted: 1 });
  });
});

test.each([
  [
    "health_transitions",
    "healthTransitionsDeleted",
    30,
    "ai_agent_address, from_health_status, to_health_status, from_status, to_status",
    "'a', 'UNKNOWN', 'HEALTHY', 'ACTIVE', 'ACTIVE'",
  ],
  [
    "agent_transitions",
    "agentTransitionsDeleted",
    365,
    "agent_id, ai_agent_address, to_state, actor",
    "'a', 'a', 'CREATED', 'test'",
  ],
])(
  "%s go (%s) when they are older than %i days, also where numbers and times do not agree",
  async (table, count, days, columns, values) => {
    // 2,500 old ones of which every hundredth is young, then 2,000 young ones.
    await sql(`
    insert into cams.${table} (at, ${columns})
    select now() - interval '${days} days'
        + case when n > 2500 or n % 100 = 0 then interval '20 s' else interval '-1 s' end, ${values}
    from generate_series(1, 4500) n`);
    expect((await retain()).body).toEqual({ ...nothing, [count]: 2475 });
    expect(await sql(`select from cams.${table}`)).toHaveLength(2025);
  },
);

describe("runs", () => {
  test("of which two are at once share the work, each piece done once", async () => {
    const names = [await day(33), await day(32), await day(31)];
    await insertKeys(5000);
    const runs: Promise<Awaited<ReturnType<typeof retain>>[]>[] = [];
    // Both want to drop the same day when its reader ends.
    await whileHeld(service, "select from cams.message_archive", [], async (release) => {
      runs.push(atOnce(2, retain));
      await sessionsWait(service, 2);
      await release();
    });
    const [one, other] = ((await runs[0]) ?? []).map(({ body }) => body);
    expect([...one.partitionsDropped, ...other.partitionsDropped].sort()).toEqual(names);
    expect(one.idempotencyKeysDeleted + other.idempotencyKeysDeleted).toBe(5000);
    expect([one.complete, other.complete]).toEqual([true, true]);
    expect(await calls.failedStatements()).toEqual([]);
    expect((await retain()).body).toEqual(nothing);
  });

  test("that are killed leave everything right, and the next one does what is left", async () => {
    const names = [await day(32), await day(31)];
    await insertKeys(10);
    vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    await whileHeld(service, `select from cams.${names[1]}`, [], async () => {
      const run = retain();
      await sessionsWait(service, 1);
      await sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where wait_event_type = 'Lock' and datname = current_database()`,
      );
      expect((await run).status).toBe(503);
    });
    expect(await partitions(messages.archive)).toContain(names[1]);
    expect((await retain()).body).toEqual({
      ...nothing,
      partitionsDropped: [names[1]],
      idempotencyKeysDeleted: 10,
    });
  });
});
