import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Bench, Context } from "./support/bench.ts";
import type { BenchDatabase } from "./support/database.ts";
import { type Case, type Contender, measure } from "./support/turns.ts";

const DOCUMENTS = { quick: 100, usual: 1000 };
const LOADER = join(import.meta.dirname, "../scripts/load-definitions.ts");

/** What a folder of definitions costs: a start that loads it, the command that does, and one call with all of it. */
export const definitions: Bench = {
  name: "definitions",
  summary:
    "1,000 definitions (quick: 100) and 20 teams of them: npm start, definitions:load, POST /v1/definitions/import",
  async run(context) {
    const texts = documentsOf(context.quick ? DOCUMENTS.quick : DOCUMENTS.usual);
    const folder = await folderOf(context, texts);
    const starts = await startsOf(context, folder);
    const calls = await callsOf(context, folder, texts);
    return measure([...starts, ...calls], context.rounds, context.progress);
  },
};

function documentsOf(count: number): string[] {
  const agents = Array.from(
    { length: count },
    (_, n) =>
      `kind: Agent\nmetadata:\n  id: agent-${n}\n  name: Agent ${n}\n  version: 1.0.0\n  tags: [bench, group-${n % 20}]\n` +
      `instructions: |\n  ${"Do what is asked, and say what was done. ".repeat(5)}\n` +
      `triggers:\n  - eventType: bench.${n}.*\n    priority: HIGH\nsubagents:\n  - id: agent-${(n + 1) % count}\n`,
  );
  const teams = Array.from({ length: 20 }, (_, n) => {
    const members = Array.from({ length: count / 20 }, (_, m) => `  - id: agent-${n + 20 * m}\n    version: ^1.0.0\n`);
    return `kind: Team\nmetadata:\n  id: team-${n}\n  name: Team ${n}\n  version: 1.0.0\nmode: route\nmembers:\n${members.join("")}`;
  });
  return [...teams, ...agents];
}

async function folderOf(context: Context, texts: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-bench-definitions-"));
  context.defer(() => rm(folder, { recursive: true, force: true }));
  for (const [index, text] of texts.entries()) await writeFile(join(folder, `${index}.yaml`), text);
  return folder;
}

/** As a replica does it, without triggers. */
function empty(database: BenchDatabase) {
  return database.sql(`
    begin; set local session_replication_role = replica;
    delete from cams.subscriptions; delete from cams.definition_versions; delete from cams.definitions; commit`);
}

async function startsOf(context: Context, folder: string): Promise<Case[]> {
  const database = await context.database();
  const start = (name: string, definitions: string, prepare: () => Promise<unknown> = async () => {}): Contender => ({
    name,
    async turn() {
      await prepare();
      const [value, service] = await timed(() => context.service(database, { CAMS_DEFINITIONS: definitions }));
      await service.end();
      return { value };
    },
  });
  const none = start("npm start, no definitions", "");
  const fresh = start("npm start, all new", folder, () => empty(database));
  // The turn before has left them there.
  const again = start("npm start, all unchanged", folder);
  return [fresh, again].map((measured) => ({ what: measured.name, unit: "ms", measured, yardsticks: [none] }));
}

async function callsOf(context: Context, folder: string, texts: string[]): Promise<Case[]> {
  const database = await context.database();
  const { url } = await context.service(database);
  const client = await database.client();
  context.defer(() => client.end());
  await client.query("create temporary table bare (id text primary key, document jsonb)");
  const rows = JSON.stringify(texts.map((text, id) => ({ id, document: { text } })));

  const command = (name: string, prepare: () => Promise<unknown> = async () => {}): Contender => ({
    name,
    async turn() {
      await prepare();
      const env = { ...process.env, CAMS_URL: url };
      const [value] = await timed(() => promisify(execFile)(process.execPath, [LOADER, folder], { env }));
      return { value };
    },
  });
  const call: Contender = {
    name: "one import call, all new",
    async turn() {
      await empty(database);
      const [value, answer] = await timed(() =>
        fetch(`${url}/v1/definitions/import?publish=true`, {
          method: "POST",
          headers: { "content-type": "application/yaml" },
          body: texts.join("---\n"),
        }).then((answer) => answer.json() as Promise<{ results?: { action: string }[] }>),
      );
      if (!answer.results?.every(({ action }) => action === "created")) throw new Error("not all were created");
      return { value };
    },
  };
  const bare: Contender = {
    name: "bare insert of as many rows",
    async turn() {
      await client.query("truncate bare");
      const [value] = await timed(() =>
        client.query(
          "insert into bare select id, document from jsonb_to_recordset($1) as r (id text, document jsonb)",
          [rows],
        ),
      );
      return { value };
    },
  };
  const fresh = command("definitions:load, all new", () => empty(database));
  // The turn before has left them there.
  const again = command("definitions:load, all unchanged");
  const usage: Contender = {
    name: "definitions:load --help",
    async turn() {
      const [value] = await timed(() => promisify(execFile)(process.execPath, [LOADER, "--help"]));
      return { value };
    },
  };
  return [
    ...[fresh, again].map((measured) => ({ what: measured.name, unit: "ms", measured, yardsticks: [usage] })),
    { what: call.name, unit: "ms", measured: call, yardsticks: [bare] },
  ];
}

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
}
