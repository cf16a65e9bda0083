import { type ChildProcess, spawn } from "node:child_process";
import pg from "pg";
import type { EmbeddedPostgres } from "../../scripts/postgres.ts";

const SCRIPT = new URL("../../scripts/postgres.ts", import.meta.url).href;

/** The processes that the tests have started. */
export const children: ChildProcess[] = [];

/** Starts PostgreSQL from another process, to be killed or to compete with this one. */
export function startElsewhere(at: string): ChildProcess {
  const code = `const { startPostgres } = await import(${JSON.stringify(SCRIPT)});
    const { url, port, pid } = await startPostgres({ dataDir: ${JSON.stringify(at)} });
    console.log(JSON.stringify({ url, port, pid }));
    setInterval(() => {}, 60_000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return child;
}

/** Waits for what that process prints once PostgreSQL is ready. */
export function firstLine(child: ChildProcess): Promise<EmbeddedPostgres> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (line) => resolve(JSON.parse(String(line))));
    child.once("exit", () => reject(new Error("the child ended early")));
  });
}

/** Runs one query over a connection of its own. */
export async function query(server: EmbeddedPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}
