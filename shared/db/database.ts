import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type * as z from "zod";
import type { Problem } from "../errors.ts";
import { currentContext } from "../logging/context.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import { type ConstraintProblems, isRetryable, toProblem } from "./errors.ts";
import type { Pool } from "./pool.ts";
import { raw, type Sql } from "./sql.ts";

/**
 * The few verbs to PostgreSQL. `operation` (`noun.verb`) names the statement in logs, metrics and on the server. Rows
 * are parsed by `shape`; a column that is null is absent from its row. Failures arrive as `Problem` where the caller can
 * do something about them.
 */
export interface Database {
  many<T>(operation: string, shape: z.ZodType<T>, statement: Sql): Promise<T[]>;
  maybe<T>(operation: string, shape: z.ZodType<T>, statement: Sql): Promise<T | undefined>;
  /** Exactly one row; `missing` is thrown when there is none. */
  one<T>(operation: string, shape: z.ZodType<T>, statement: Sql, missing?: () => Problem): Promise<T>;
  /** Answers the number of rows touched. */
  execute(operation: string, statement: Sql): Promise<number>;
  /**
   * Runs `work` in one transaction (read committed); inside another it joins that one. Run again, up to 5 times, after a
   * serialization failure or deadlock, so `work` must do nothing but talk to the database it is given. What it changes
   * bears the name of the caller of the request it runs for: the audit's triggers read it from the transaction.
   */
  transaction<T>(work: (db: Database) => Promise<T>, options?: { statementTimeoutSeconds?: number }): Promise<T>;
  /** Runs `hook` once the change is committed: after the transaction, or at once outside one. */
  afterCommit(hook: () => void): void;
}

interface Dependencies {
  pool: Pool;
  log: Logger;
  metrics: Metrics;
  constraints: ConstraintProblems;
}

const SLOW_MS = 50;
/** The server ends a statement; only when nothing comes from it so long after, the connection is given up. */
const SPARE_SECONDS = 10;
const MAX_TRIES = 5;

export function createDatabase({ pool, log, metrics, constraints }: Dependencies): Database {
  const names = new Map<string, string>();

  /** Named prepared statements: parsed and planned once a connection, a third off the cost of a look-up. */
  function nameOf(operation: string, text: string): string {
    let name = names.get(text);
    if (name === undefined) {
      name = `${operation}.${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
      names.set(text, name);
    }
    return name;
  }

  async function run(
    on: Pick<Pool, "query">,
    operation: string,
    statement: Sql,
    limitSeconds?: number,
  ): Promise<pg.QueryArrayResult> {
    const start = performance.now();
    let outcome = "ok";
    try {
      return await on.query({
        ...(!statement.byValues && { name: nameOf(operation, statement.text) }),
        text: statement.text,
        values: statement.values as unknown[],
        rowMode: "array",
        ...(limitSeconds !== undefined && { query_timeout: (limitSeconds + SPARE_SECONDS) * 1000 }),
      } as pg.QueryArrayConfig);
    } catch (error) {
      outcome = "error";
      throw error;
    } finally {
      const milliseconds = performance.now() - start;
      metrics.statement(operation, outcome, milliseconds / 1000);
      const context = currentContext();
      if (context) {
        context.statements += 1;
        context.databaseMilliseconds += milliseconds;
      }
      if (milliseconds > SLOW_MS) log.warning("slow statement", { operation, outcome, milliseconds });
      else if (log.enabled("DEBUG")) log.debug("statement", { operation, outcome, milliseconds });
    }
  }

  async function retried<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!isRetryable(error) || tries === MAX_TRIES) throw toProblem(error, constraints);
        // Two that met once meet again if they wait equally long.
        await delay(Math.random() * 10 * 2 ** tries);
      }
    }
  }

  function verbs(query: (operation: string, statement: Sql) => Promise<pg.QueryArrayResult>) {
    async function many<T>(operation: string, shape: z.ZodType<T>, statement: Sql): Promise<T[]> {
      return toObjects(await query(operation, statement)).map((row) => shape.parse(row));
    }
    async function maybe<T>(operation: string, shape: z.ZodType<T>, statement: Sql): Promise<T | undefined> {
      const rows = await many(operation, shape, statement);
      if (rows.length > 1) throw new Error(`${operation}: one row expected, ${rows.length} found`);
      return rows[0];
    }
    return {
      many,
      maybe,
      async one<T>(operation: string, shape: z.ZodType<T>, statement: Sql, missing?: () => Problem): Promise<T> {
        const row = await maybe(operation, shape, statement);
        if (row === undefined) throw missing?.() ?? new Error(`${operation}: no row`);
        return row;
      },
      async execute(operation: string, statement: Sql): Promise<number> {
        return (await query(operation, statement)).rowCount ?? 0;
      },
    };
  }

  async function transaction<T>(
    work: (db: Database) => Promise<T>,
    options: { statementTimeoutSeconds?: number } = {},
  ): Promise<T> {
    return retried(async () => {
      const client = await pool.connect();
      const hooks: (() => void)[] = [];
      let limitSeconds: number | undefined;
      const limit = async (seconds: number | undefined) => {
        if (seconds === undefined) return;
        limitSeconds = seconds;
        await client.query(`set local statement_timeout = '${Number(seconds)}s'`);
      };
      const bound: Database = {
        ...verbs((operation, statement) => run(client, operation, statement, limitSeconds)),
        transaction: async (inner, { statementTimeoutSeconds } = {}) => {
          await limit(statementTimeoutSeconds);
          return inner(bound);
        },
        afterCommit: (hook) => void hooks.push(hook),
      };
      let failure: Error | undefined;
      try {
        await client.query(beginning(client));
        await limit(options.statementTimeoutSeconds);
        const answer = await work(bound);
        await client.query("commit");
        for (const hook of hooks) hook();
        return answer;
      } catch (error) {
        // A connection that cannot even roll back is broken: thrown away, not given back.
        await client.query("rollback").catch((broken: Error) => {
          failure = broken;
        });
        throw error;
      } finally {
        client.release(failure);
      }
    });
  }

  return {
    ...verbs((operation, statement) => retried(() => run(pool, operation, statement))),
    transaction,
    afterCommit: (hook) => hook(),
  };
}

/** Begins a transaction, and tells it for whom and in which request: one round trip for both. */
function beginning(client: pg.PoolClient): string {
  const context = currentContext();
  if (context?.principal === undefined) return "begin";
  const settings = { actor: context.principal, request_id: context.requestId, source: context.functionName };
  const told = Object.entries(settings).map(
    ([name, value]) => `set_config('cams.${name}', ${client.escapeLiteral(value)}, true)`,
  );
  return `begin; select ${told.join(", ")}`;
}

function toObjects(result: pg.QueryArrayResult): Record<string, unknown>[] {
  const names = result.fields.map((field) => field.name);
  return result.rows.map((row) => {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) if (row[i] !== null) object[names[i] as string] = row[i];
    return object;
  });
}

/** The database's clock, as SQL; tests bind another time. */
export const NOW: Sql = raw("now()");
