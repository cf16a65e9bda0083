import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { whileHeld } from "./calls.ts";
import { archives, nothing, retentionOf } from "./retention.ts";

const service = useService();
const sql = (text: string, values?: unknown[]) => service.sql(text, values);
const { retain, partition, partitions, finished, insertKeys, takenBack, tidy } = retentionOf(service);

beforeAll(tidy);
afterEach(async () => {
  vi.restoreAllMocks();
  await tidy();
});

/** How often the service asked for a partition to be dropped. */
async function drops(): Promise<number> {
  const { body } = await service.get("/metrics");
  const counts = body.matchAll(/^cams_db_operations_total\{.*operation="retention.drop_partition".*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe.each(archives)("a $step of $archive", (cut) => {
  const { archive, step, days } = cut;
  const limit = `now() - interval '${days} days'`;
  /** The last that is kept, and those that are not, youngest first. */
  const around = async () => ({
    young: await partition(cut, limit),
    old: [await partition(cut, limit, -1), await partition(cut, limit, -2), await partition(cut, limit, -40)] as const,
  });

  test("goes when its last moment is so many days past, and not before", async () => {
    const { young, old } = await around();
    await finished(archive, `date_trunc('${step}', ${limit}, 'UTC') - interval '1 ms'`);
    await finished(archive, limit);
    expect((await retain()).body).toEqual({ ...nothing, partitionsDropped: old.toReversed() });
    expect(await partitions(archive)).toContain(young);
    const left = await sql(`select relname as name from cams.${archive} a join pg_class c on c.oid = a.tableoid`);
    expect(left).toEqual([{ name: young }]);
    expect((await retain()).body).toEqual(nothing);
  });

  test.each([
    ["0 s", 1],
    ["-1 s", 1],
    ["1 s", 0],
  ])("that ends %s from the limit: %i are old", async (distance, expected) => {
    await takenBack(async (client) => {
      await client.query(
        `create table cams.edge partition of cams.${archive}
           for values from (${limit} - interval '90 days') to (date_trunc('ms', ${limit}) + interval '${distance}')`,
      );
      const { rows } = await client.query("select * from cams.old_partitions($1, $2)", [archive, days]);
      const dropped = await client.query("select cams.drop_partition($1, 'edge', $2) as dropped", [archive, days]);
      expect(rows).toHaveLength(expected);
      expect(dropped.rows).toEqual([{ dropped: expected ? true : null }]);
    });
  });

  test("is made when it begins within two weeks", async () => {
    const names = new Set<string>();
    for (let ahead = 0; ahead <= 14; ahead++) names.add(await partition(cut, `now() + interval '${ahead} days'`));
    await sql(`drop table ${[...names].map((name) => `cams.${name}`).join(", ")}`);
    expect((await retain()).body).toEqual({ ...nothing, partitionsMade: names.size });
    expect((await partitions(archive)).toSorted()).toEqual([...names, `${archive}_default`].toSorted());
  });

  test.each(["Asia/Kolkata", "America/Lima"])(
    "is from midnight to midnight UTC for a session in %s too, and made when the last of the days ahead is in it",
    async (zone) => {
      const names = await partitions(archive);
      await takenBack(async (client) => {
        for (const name of names) await client.query(`drop table cams.${name}`);
        await client.query("set timezone to 'UTC'");
        const { rows } = await client.query(
          `select first::text, next::text, (next + interval '1 ${step}')::text as last, next::date - now()::date as days
           from date_trunc('${step}', now()) first, date_trunc('${step}', now() + interval '1 ${step}') next`,
        );
        const [{ first, next, last, days: ahead }] = rows;
        await client.query(`set timezone to '${zone}'; set datestyle to 'German'`);
        for (const [until, made] of [
          [ahead - 1, 1],
          [ahead, 1],
          [ahead, 0],
        ])
          expect((await client.query("select cams.make_partitions($1, $2) made", [archive, until])).rows).toEqual([
            { made },
          ]);
        await client.query("set timezone to 'UTC'; set datestyle to 'ISO'");
        const made = await client.query(
          `select pg_get_expr(relpartbound, oid) as bounds from pg_class join pg_inherits on oid = inhrelid
           where inhparent = $1::regclass order by relname`,
          [`cams.${archive}`],
        );
        expect(made.rows).toEqual([
          { bounds: `FOR VALUES FROM ('${first}') TO ('${next}')` },
          { bounds: `FOR VALUES FROM ('${next}') TO ('${last}')` },
        ]);
      });
    },
  );

  test("whose time a partition of another name has is not made: nothing fails, the others are", async () => {
    const [today, last] = [await partition(cut, "now()"), await partition(cut, "now() + interval '14 days'")];
    await sql(`alter table cams.${today} rename to another`);
    if (last !== today) await sql(`drop table cams.${last}`);
    expect((await retain()).body).toEqual({ ...nothing, partitionsMade: last === today ? 0 : 1 });
    expect(await partitions(archive)).toEqual(expect.arrayContaining(last === today ? ["another"] : ["another", last]));
    await sql("drop table cams.another");
  });

  test("is judged by what is in it, not by its name", async () => {
    const ahead = await partition(cut, "now()", 50);
    await sql(`alter table cams.${ahead} rename to ${archive}_20200101`);
    expect((await retain()).body).toEqual(nothing);
    await sql(`drop table cams.${archive}_20200101`);
  });

  test("that cannot be made because the archive is read is left to the next run, which makes it", async () => {
    const { old } = await around();
    const last = await partition(cut, "now() + interval '14 days'");
    await sql(`drop table cams.${last}`);
    const [other] = archives.filter((one) => one.archive !== archive);
    if (!other) throw new Error("no other archive");
    const others = await partition(other, `now() - interval '${other.days} days'`, -1);
    const warnings = vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    const { partitionsMade: _, ...rest } = nothing;
    await whileHeld(service, `select from cams.${archive}`, [], async () => {
      const before = await drops();
      const answer = { ...rest, complete: false, partitionsLeft: old.toReversed(), partitionsDropped: [others] };
      expect((await retain()).body).toEqual(answer);
      // Writers wait for an attempt: the one to make was enough. The other archive's one was dropped.
      expect((await drops()) - before).toBe(1);
    });
    const said = warnings.mock.calls.filter(([message]) => message.includes("is in use"));
    expect(said).toEqual([[expect.anything(), { archive, left: old.toReversed() }]]);
    expect((await retain()).body).toEqual({ ...nothing, partitionsMade: 1, partitionsDropped: old.toReversed() });
  });

  test.each([
    ["one old one", (name: string) => `select from cams.${name}`],
    ["the whole archive", () => `select from cams.${archive}`],
  ])("while somebody reads %s is left and named, keys go all the same; the next run drops it", async (_, reading) => {
    const names = (await around()).old.toReversed();
    await insertKeys(10);
    vi.spyOn(service.app.log, "warning").mockImplementation(() => {});
    await whileHeld(service, reading(names[0] as string), [], async () => {
      const { body } = await retain();
      expect(body).toEqual({ ...nothing, complete: false, partitionsLeft: names, idempotencyKeysDeleted: 10 });
    });
    expect((await retain()).body).toEqual({ ...nothing, partitionsDropped: names });
  });
});

describe.each(archives)("cams.drop_partition of $archive", (cut) => {
  const { archive } = cut;

  test.each([-1_000_000, -1, 0, 1, null])(
    "given %s days drops none that is not over, nor the default",
    async (days) => {
      const before = await partitions(archive);
      for (const name of [...before, archive, "messages", "agent_inboxes", 'x"; drop', null]) {
        const answer = await sql("select cams.drop_partition($1, $2, $3::integer) as dropped", [archive, name, days]);
        expect(answer, `${name}`).toEqual([{ dropped: null }]);
      }
      expect(await partitions(archive)).toEqual(before);
      expect(before).toEqual(expect.arrayContaining([await partition(cut, "now()"), `${archive}_default`]));
    },
  );
});

test("the same days are old whatever the session's time zone and style of dates", async () => {
  const [days] = archives;
  const name = await partition(days, "now()", -1);
  for (const setting of ["timezone to 'Asia/Kolkata'", "timezone to 'America/Lima'", "datestyle to 'German'"])
    await takenBack(async (client) => {
      await client.query(`set ${setting}`);
      const { rows } = await client.query("select name from cams.old_partitions($1, 0) name", [days.archive]);
      expect(rows, setting).toEqual([{ name }]);
    });
});

test.each(["others", "messages", "nothing", 'x"; drop', null])(
  "%s is no archive: nothing is made for it, or taken from it",
  async (name) => {
    for (const make of ["make_partitions", "try_make_partitions"])
      await expect(sql(`select cams.${make}($1, 14)`, [name])).rejects.toThrow(/is no archive/);
    await takenBack(async (client) => {
      await client.query(`
        create table cams.others (at timestamptz not null) partition by range (at);
        create table cams.others_old partition of cams.others for values from ('2020-01-01Z') to ('2020-01-02Z')`);
      const old = await client.query("select cams.old_partitions($1, 0)", [name]);
      const dropped = await client.query("select cams.drop_partition($1, 'others_old', 0) as dropped", [name]);
      expect([...old.rows, ...dropped.rows]).toEqual([{ dropped: null }]);
    });
  },
);

describe.each(archives)("the default partition of $archive", ({ archive, time, days, count }) => {
  test("with rows is an alert that says how many; the old ones go, the others stay", async () => {
    const alerts = vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
    const place = `cams.${archive}_default`;
    await finished(archive, `now() - interval '${days} days'`);
    await finished(archive, `now() - interval '${days} days' + interval '1 minute'`);
    expect(await sql(`select from ${place}`)).toHaveLength(2);

    expect((await retain()).body).toEqual({ ...nothing, defaultPartitionRows: 2, [count]: 1 });
    expect(alerts.mock.calls).toEqual([[expect.stringMatching(/default partition/), { archive, rows: 2 }]]);
    expect(await sql(`select from ${place} where ${time} > now() - interval '${days} days'`)).toHaveLength(1);
    expect((await retain()).body).toEqual({ ...nothing, defaultPartitionRows: 1 });
    await sql(`delete from ${place}`);
    expect((await retain()).body).toEqual(nothing);
    expect(alerts).toHaveBeenCalledTimes(2);
  });

  test("with rows of a time keeps that time's from being made, and no other", async () => {
    vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
    for (const name of await partitions(archive)) if (!name.endsWith("default")) await sql(`drop table cams.${name}`);
    await finished(archive, "now()");
    const expected = await sql(
      `select distinct date_trunc('${archive === "task_archive" ? "month" : "day"}', now() + n * interval '1 day', 'UTC')
       from generate_series(0, 14) n`,
    );
    const answer = { ...nothing, partitionsMade: expected.length - 1, defaultPartitionRows: 1 };
    expect((await retain()).body).toEqual(answer);
  });
});
