import pg from "pg";
import type { Database } from "../../../shared/db/database.ts";
import type { Hints } from "../../../shared/db/hints.ts";
import type { Sql } from "../../../shared/db/sql.ts";
import { createRepository, type Repository } from "../../../shared/repository/index.ts";

/** How PostgreSQL plans a prepared statement: for the values at hand, or once for all. */
export const planModes = ["force_custom_plan", "force_generic_plan"] as const;

/** A node of what EXPLAIN (ANALYZE, FORMAT JSON) answers, as far as it is judged here. */
interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  Plans?: PlanNode[];
}

/** A statement as it ran: what it read, and the whole plan to be shown when a test fails. */
export interface Executed {
  /** Every scan of a table: how, and how many rows it looked at, those it threw away included. */
  scansOf(table: string): { type: string; index: string | undefined; rows: number }[];
  /** Every index that was used. */
  indexes: string[];
  plan: string;
}

type Query = <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<T[]>;

class Captured extends Error {}

/** The statement that a call sends to the database after those which are answered with `answers`; none is asked. */
export async function statementOf(call: (repo: Repository) => Promise<unknown>, answers: unknown[] = []): Promise<Sql> {
  const left = [...answers];
  let captured: Sql | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: an answer has whatever shape the statement is thought to give
  const capture = async (statement: Sql): Promise<any> => {
    if (left.length > 0) return left.shift();
    captured = statement;
    throw new Captured();
  };
  const db: Database = {
    many: (_operation, _shape, statement) => capture(statement),
    maybe: (_operation, _shape, statement) => capture(statement),
    one: (_operation, _shape, statement) => capture(statement),
    execute: (_operation, statement) => capture(statement),
    transaction: (work) => work(db),
    afterCommit: () => {},
  };
  await call(createRepository(db, {} as Hints)).catch((error: unknown) => {
    if (!(error instanceof Captured)) throw error;
  });
  if (!captured) throw new Error("the call sent no statement");
  return captured;
}

/**
 * Runs a statement under EXPLAIN ANALYZE, prepared as the service prepares it, and takes back what it did. `meanwhile`
 * happens between the planning and the run: plans made once for all outlive the state for which they were made.
 */
export async function execute(
  url: string,
  statement: Sql,
  mode: (typeof planModes)[number],
  meanwhile: (sql: Query) => Promise<void> = async () => {},
): Promise<Executed> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("begin");
    await client.query(`set local plan_cache_mode = ${mode}`);
    await client.query(`prepare judged as ${statement.text}`);
    const values = statement.values.map((value) => literal(client, value)).join(", ");
    await client.query(`explain execute judged(${values})`);
    await meanwhile(async (text, given) => (await client.query(text, given)).rows);
    const { rows } = await client.query(`explain (analyze, buffers, format json) execute judged(${values})`);
    await client.query("rollback");
    const [{ Plan }] = rows[0]["QUERY PLAN"];
    const nodes = flatten(Plan);
    return {
      indexes: nodes.flatMap((node) => node["Index Name"] ?? []),
      plan: JSON.stringify(Plan, null, 1),
      scansOf: (table) =>
        nodes
          .filter((node) => node["Relation Name"] === table && node["Node Type"].endsWith("Scan"))
          .map((node) => ({ type: node["Node Type"], index: node["Index Name"], rows: rowsOf(node) })),
    };
  } finally {
    await client.end();
  }
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}

function rowsOf(node: PlanNode): number {
  const each =
    node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  return Math.round(each * node["Actual Loops"]);
}

function literal(client: pg.Client, value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (Array.isArray(value)) return client.escapeLiteral(`{${value.join(",")}}`);
  return typeof value === "string" ? client.escapeLiteral(value) : String(value);
}
