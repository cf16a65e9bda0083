import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const { sql } = {
  sql: <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => service.sql<T>(text, values),
};
const retain = () => service.post("/v1/system/retention");

const nothing = {
  complete: true,
  partitionsMade: 0,
  partitionsDropped: [],
  partitionsLeft: [],
  defaultPartitionRows: 0,
  defaultPartitionRowsDeleted: 0,
  idempotencyKeysDeleted: 0,
  messageKeysDeleted: 0,
  healthTransitionsDeleted: 0,
  previousSecretsDeleted: 0,
  secretsResealed: 0,
  secretsUnreadable: 0,
};

afterEach(async () => {
  vi.restoreAllMocks();
  await sql("select cams.drop_message_partition(old, 0) from cams.old_message_partitions(0) old");
  await sql("select cams.make_message_partitions(14)");
});

/** The partition of the day (UTC) so many days ago, made if it is not there; answers its name. */
async function day(ago: number): Promise<string> {
  const [bounds] = await sql<{ name: string; from: string; to: string }>(
    `select 'message_archive_' || to_char(day, 'YYYYMMDD') as name, day || ' 00:00Z' as from, day + 1 || ' 00:00Z' as to
     from (select (now() at time zone 'UTC')::date - $1::integer as day) days`,
    [ago],
  );
  if (!bounds) throw new Error("no day");
  await sql(
    `create table if not exists cams.${bounds.name} partition of cams.message_archive
       for values from ('${bounds.from}') to ('${bounds.to}')`,
  );
  return bounds.name;
}

const partitions = async () =>
  (
    await sql<{ name: string }>(
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'cams.message_archive'::regclass",
    )
  ).map(({ name }) => name.replace("cams.", ""));

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

describe("days of the archive", () => {
  test("go when their last moment is RETENTION_DAYS past, and not before", async () => {
    const [young, old, older] = [await day(30), await day(31), await day(400)];
    expect((await retain()).body).toEqual({ ...nothing, partitionsDropped: [older, old] });
    expect(await partitions()).toContain(young);
    expect((await retain()).body).toEqual(nothing);
  });

  test.each([
    ["0 s", 1],
    ["-1 s", 1],
    ["1 s", 0],
  ])("that end %s from the limit: %i are old", async (distance, expected) => {
    const client = new pg.Client(service.databaseUrl);
    await client.connect();
    await client.query("begin");
    await client.query(
      `create table cams.edge partition of cams.message_archive
         for values from (now() - interval '32 days') to (date_trunc('ms', now()) - interval '30 days' + interval '${distance}')`,
    );
    const { rows } = await client.query("select * from cams.old_message_partitions(30)");
    const dropped = await client.query("select cams.drop_message_partition('edge', 30) as dropped");
    await client.end();
    expect(rows).toHaveLength(expected);
    expect(dropped.rows).toEqual([{ dropped: expected ? true : null }]);
  });

  test("take their messages along: these are not found any more, all others are, looked up and listed", async () => {
    for (const ago of [30, 31]) await day(ago);
    const [gone, kept, today] = [await acknowledged(31), await acknowledged(30), await acknowledged(0)];
    const live = await calls.message({ recipientAddress: (await calls.inbox()).aiAgentAddress });
    expect(await Promise.all([gone, kept, today].map(statusOf))).toEqual([200, 200, 200]);

    expect((await retain()).body.partitionsDropped).toHaveLength(1);

    expect(await Promise.all([gone, kept, today, live.messageId].map(statusOf))).toEqual([404, 200, 200, 200]);
    const { body } = await service.get("/v1/messages?recipientAddress=reader@corp.example");
    expect(body.items.map(({ messageId }: { messageId: string }) => messageId)).toEqual([today, kept]);
  });

  test("ahead are made for two weeks", async () => {
    const [last, before] = [await day(-14), await day(-13)];
    await sql(`drop table cams.${last}, cams.${before}`);
    expect((await retain()).body).toEqual({ ...nothing, partitionsMade: 2 });
    expect(await partitions()).toEqual(expect.arrayContaining([last, before]));
  });

  test("that cannot be made because the archive is read are left to the next run, which makes them", async () => {
    const [last, old] = [await day(-14), await day(31)];
    await sql(`drop table cams.${last}`);
    const warnings = vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    const { partitionsMade: _, ...others } = nothing;
    await whileHeld(service, "select from cams.message_archive", [], async () => {
      const start = performance.now();
      expect((await retain()).body).toEqual({ ...others, complete: false, partitionsLeft: [old] });
      // Writers waited for one attempt, not for two.
      expect(performance.now() - start).toBeLessThan(2800);
    });
    expect(warnings.mock.calls.map(([message]) => message)).toContainEqual(expect.stringMatching(/is in use/));
    expect((await retain()).body).toEqual({ ...nothing, partitionsMade: 1, partitionsDropped: [old] });
  });
});

describe.each([
  ["one old day", (name: string) => `select from cams.${name}`],
  ["the whole archive", () => "select from cams.message_archive"],
])("while somebody reads %s", (_, reading) => {
  test("it is left and named, keys go all the same; the next run drops it", async () => {
    const names = [await day(33), await day(32), await day(31)];
    await insertKeys(10);
    vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    await whileHeld(service, reading(names[0] as string), [], async () => {
      const { body } = await retain();
      expect(body).toEqual({ ...nothing, complete: false, partitionsLeft: names, idempotencyKeysDeleted: 10 });
    });
    expect((await retain()).body).toEqual({ ...nothing, partitionsDropped: names });
  });

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

describe("cams.drop_message_partition", () => {
  test.each([-1_000_000, -1, 0, 1, null])(
    "with %s days drops no day that is not over, nor the default",
    async (days) => {
      const before = await partitions();
      const names = [...before, "message_archive_default", "message_archive", "messages", "agent_inboxes", 'x"; drop'];
      for (const name of names) {
        const [answer] = await sql("select cams.drop_message_partition($1, $2::integer) as dropped", [name, days]);
        expect(answer, name).toEqual({ dropped: null });
      }
      expect(await partitions()).toEqual(before);
      expect(await partitions()).toEqual(
        expect.arrayContaining([await day(0), await day(-1), "message_archive_default"]),
      );
    },
  );

  test("judges by what is in it, not by its name", async () => {
    const ahead = await day(-20);
    await sql(`alter table cams.${ahead} rename to message_archive_20200101`);
    expect((await retain()).body).toEqual(nothing);
    await sql("drop table cams.message_archive_20200101");
  });

  test("gives the same days whatever the session's time zone and style of dates", async () => {
    const name = await day(1);
    for (const setting of ["timezone to 'Asia/Kolkata'", "timezone to 'America/Lima'", "datestyle to 'German'"]) {
      const client = new pg.Client(service.databaseUrl);
      await client.connect();
      await client.query(`set ${setting}`);
      const { rows } = await client.query("select name from cams.old_message_partitions(0) name");
      await client.end();
      expect(rows, setting).toEqual([{ name }]);
    }
  });
});

describe("the default partition", () => {
  test("with rows is an alert that says how many; the old ones go, the others stay and are found", async () => {
    const alerts = vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
    const [old, young] = [await acknowledged(31), await acknowledged(29)];
    expect(await sql("select from cams.message_archive_default")).toHaveLength(2);

    const found = { ...nothing, defaultPartitionRows: 2, defaultPartitionRowsDeleted: 1 };
    expect((await retain()).body).toEqual(found);
    expect(alerts.mock.calls).toEqual([[expect.stringMatching(/default partition/), { defaultPartitionRows: 2 }]]);
    expect(await Promise.all([old, young].map(statusOf))).toEqual([404, 200]);
    expect((await retain()).body).toEqual({ ...nothing, defaultPartitionRows: 1 });
    await sql("delete from cams.message_archive_default");
    expect((await retain()).body).toEqual(nothing);
    expect(alerts).toHaveBeenCalledTimes(2);
  });
});

/** Makes idempotency keys that lapsed within the last hour. */
const insertKeys = (count: number) =>
  sql(
    `insert into cams.idempotency_keys (principal, function, key, request_hash, kept_until)
     select 'p', 'f', n::text, '', now() - make_interval(secs => n % 3600) from generate_series(1, $1::integer) n`,
    [count],
  );

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

test("changes of health go when they are older than RETENTION_DAYS, also where numbers and times do not agree", async () => {
  // 2,500 old ones of which every hundredth is young, then 2,000 young ones.
  await sql(`
    insert into cams.health_transitions
      (ai_agent_address, at, from_health_status, to_health_status, from_status, to_status)
    select 'a', now() - interval '30 days'
        + case when n > 2500 or n % 100 = 0 then interval '20 s' else interval '-1 s' end,
      'UNKNOWN', 'HEALTHY', 'ACTIVE', 'ACTIVE'
    from generate_series(1, 4500) n`);
  expect((await retain()).body).toEqual({ ...nothing, healthTransitionsDeleted: 2475 });
  expect(await sql("select from cams.health_transitions")).toHaveLength(2025);
});

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
      await sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'");
      expect((await run).status).toBe(503);
    });
    expect(await partitions()).toContain(names[1]);
    expect((await retain()).body).toEqual({
      ...nothing,
      partitionsDropped: [names[1]],
      idempotencyKeysDeleted: 10,
    });
  });
});
