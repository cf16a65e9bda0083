import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { createDatabase, type Database } from "../../../shared/db/database.ts";
import { toProblem } from "../../../shared/db/errors.ts";
import { and, list, raw, sql } from "../../../shared/db/sql.ts";
import { toTimestamp, types } from "../../../shared/db/types.ts";
import { Problem } from "../../../shared/errors.ts";
import { createLogger } from "../../../shared/logging/index.ts";
import { createMetrics } from "../../../shared/metrics/index.ts";
import * as support from "../../support/database.ts";

let own: support.TestDatabase;
let pool: pg.Pool;
let db: Database;
const lines: string[] = [];
const metrics = createMetrics();

beforeAll(async () => {
  own = await support.createDatabase();
  pool = new pg.Pool({ connectionString: own.url, types, max: 4, options: "-c TimeZone=UTC" });
  const log = createLogger({ level: "DEBUG", transport: "console", format: "json", write: (line) => lines.push(line) });
  const constraints = { things_name_unique: { code: "inbox_exists", detail: "taken" } } as const;
  db = createDatabase({ pool, log, metrics, constraints });
  await pool.query("create table things (name text constraint things_name_unique primary key); create sequence tries");
  await pool.query(`create function fail_times(n integer, state text) returns integer language plpgsql as $$
    begin
      if nextval('tries') <= n then raise exception using errcode = state; end if;
      return currval('tries');
    end $$`);
});

afterAll(async () => {
  await pool.end();
  await own.drop();
});

const Tries = z.object({ tries: z.int() });
const failing = (times: number, state: string) => sql`select fail_times(${times}::integer, ${state}) as tries`;

async function problemOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error) => (error instanceof Problem ? error.code : `${error}`),
  );
}

describe("sql", () => {
  test("numbers parameters through nested pieces, and keeps values out of the text", () => {
    const inner = sql`b = ${"x'; drop table things"}`;
    const statement = sql`select ${1} where a = ${2} and ${inner} or ${and([])} and ${raw("c")} = ${3}`;
    expect(statement.text).toBe("select $1 where a = $2 and b = $3 or true and c = $4");
    expect(statement.values).toEqual([1, 2, "x'; drop table things", 3]);
  });

  test("the same template with other pieces is another statement", () => {
    const choose = (column: string) => sql`select ${raw(column)} from t where id = ${1}`;
    expect([choose("a").text, choose("b").text, choose("a").text]).toEqual([
      "select a from t where id = $1",
      "select b from t where id = $1",
      "select a from t where id = $1",
    ]);
  });

  test("and leaves out what is not there; list separates by commas", () => {
    expect(and([sql`a = ${1}`, undefined, false, sql`b = ${2}`]).text).toBe("a = $1 and b = $2");
    expect(list([sql`a = ${1}`, sql`b = ${2}`]).text).toBe("a = $1, b = $2");
  });
});

test.each([
  ["2026-11-21 10:00:00+00", "2026-11-21T10:00:00.000Z"],
  ["2026-11-21 10:00:00.1+00", "2026-11-21T10:00:00.100Z"],
  ["2026-11-21 10:00:00.123456+00", "2026-11-21T10:00:00.123Z"],
])("a time of PostgreSQL %s is written %s", (text, timestamp) => {
  expect(toTimestamp(text)).toBe(timestamp);
});

describe("a statement", () => {
  test("a null column is absent from its row", async () => {
    const row = await db.one(
      "test.nulls",
      z.object({ a: z.int(), b: z.string().optional() }),
      sql`select 1 as a, null as b`,
    );
    expect(Object.keys(row)).toEqual(["a"]);
  });

  test("is prepared once under its operation's name", async () => {
    for (let i = 0; i < 3; i++) await db.transaction((tx) => tx.execute("test.prepared", sql`select ${i}::integer`));
    const names = z.object({ name: z.string() });
    const prepared = await db.many(
      "test.names",
      names,
      sql`select name from pg_prepared_statements where name like 'test.prepared%'`,
    );
    expect(prepared).toHaveLength(1);
  });

  test.each(["40001", "40P01"])("is run again after %s until it succeeds", async (state) => {
    await pool.query("alter sequence tries restart");
    expect(await db.one("test.retry", Tries, failing(3, state))).toEqual({ tries: 4 });
  });

  test("is given up after five tries: 503", async () => {
    await pool.query("alter sequence tries restart");
    expect(await problemOf(db.one("test.retry", Tries, failing(9, "40001")))).toBe("database_unavailable");
    expect((await pool.query("select last_value::int from tries")).rows[0].last_value).toBe(5);
  });

  test("is not run again after any other failure, which stays a defect of ours", async () => {
    await pool.query("alter sequence tries restart");
    expect(await problemOf(db.one("test.fail", Tries, failing(1, "22012")))).toMatch(/^error/);
    expect((await pool.query("select last_value::int from tries")).rows[0].last_value).toBe(1);
  });

  test("a violated constraint is the problem it stands for, with the driver's error only as cause", async () => {
    await db.execute("test.insert", sql`insert into things values ('a')`);
    const error = await db.execute("test.insert", sql`insert into things values ('a')`).catch((e) => e);
    expect(error).toBeInstanceOf(Problem);
    expect(error).toMatchObject({ code: "inbox_exists", message: "taken", cause: { code: "23505" } });
  });

  test("its time and outcome are in the log and the metrics", async () => {
    lines.length = 0;
    await db.execute("test.seen", sql`select 1`);
    await db.execute("test.seen", sql`select 1 / 0`).catch(() => {});
    await db.execute("test.slow", sql`select pg_sleep(0.06)`);
    const said = lines.map((line) => JSON.parse(line));
    expect(said).toMatchObject([
      { severity: "DEBUG", operation: "test.seen", outcome: "ok", milliseconds: expect.any(Number) },
      { severity: "DEBUG", operation: "test.seen", outcome: "error" },
      { severity: "WARNING", operation: "test.slow", outcome: "ok" },
    ]);
    const text = await metrics.render();
    expect(text).toContain('cams_db_operations_total{operation="test.seen",outcome="ok"} 1');
    expect(text).toContain('cams_db_operations_total{operation="test.seen",outcome="error"} 1');
  });
});

test.each(["EPIPE", "ECONNRESET", "57P01", "25006", "53300", "08006"])(
  "%s is no defect of ours but a database that is away",
  (code) => {
    const problem = toProblem(Object.assign(new Error("write"), { code }), {});
    expect(problem).toMatchObject({ code: "database_unavailable", retryAfterSeconds: 1 });
  },
);

describe("a transaction", () => {
  test("is run again as a whole after a serialization failure", async () => {
    await pool.query("alter sequence tries restart");
    let runs = 0;
    await db.transaction(async (tx) => {
      runs += 1;
      await tx.execute("test.insert", sql`insert into things values (${`run-${runs}`})`);
      await tx.one("test.retry", Tries, failing(2, "40001"));
    });
    expect(runs).toBe(3);
    expect((await pool.query("select name from things where name like 'run-%'")).rows).toEqual([{ name: "run-3" }]);
  });

  test("a thrown problem rolls it back; what waited for the commit does not happen", async () => {
    let hinted = false;
    const work = db.transaction(async (tx) => {
      tx.afterCommit(() => {
        hinted = true;
      });
      await tx.execute("test.insert", sql`insert into things values ('never')`);
      throw new Problem("inbox_inactive", "no");
    });
    expect(await problemOf(work)).toBe("inbox_inactive");
    expect(hinted).toBe(false);
    expect((await pool.query("select from things where name = 'never'")).rowCount).toBe(0);
  });

  test("inside another it joins that one", async () => {
    const work = db.transaction(async (tx) => {
      await tx.transaction((inner) => inner.execute("test.insert", sql`insert into things values ('inner')`));
      throw new Problem("inbox_inactive", "no");
    });
    expect(await problemOf(work)).toBe("inbox_inactive");
    expect((await pool.query("select from things where name = 'inner'")).rowCount).toBe(0);
  });

  test("its statements may be given a longer time", async () => {
    const Timeout = z.object({ statement_timeout: z.string() });
    const shown = await db.transaction((tx) => tx.one("test.timeout", Timeout, sql`show statement_timeout`), {
      statementTimeoutSeconds: 55,
    });
    expect(shown.statement_timeout).toBe("55s");
  });
});
