import * as z from "zod";
import { sql } from "../db/sql.ts";
import { contentHashOf } from "../rules/definition-documents.ts";
import type { Settled } from "../rules/definition-members.ts";
import { type Known, type Manner, type Outcome, plan } from "../rules/definition-plan.ts";
import { RANKED } from "../rules/priority.ts";
import { definitionTopic } from "../rules/topics.ts";
import { highest } from "../rules/versions.ts";
import type { DefinitionSource, VersionStatus } from "../schemas/definition.ts";
import type { DefinitionDocument } from "../schemas/definition-document.ts";
import type { Context } from "./index.ts";

const LockedRow = z.object({
  id: z.string(),
  kind: z.enum(["Agent", "Team"]),
  ownerTeam: z.string().optional(),
  retired: z.boolean(),
  currentVersion: z.string().optional(),
  currentSource: z.custom<DefinitionSource>().optional(),
});
const VersionRow = z.object({
  id: z.string(),
  version: z.string(),
  status: z.custom<VersionStatus>(),
  contentHash: z.string(),
});

interface Named {
  id: string;
  version: string;
}

/** 1,000 documents take a second or two; another import may have to wait for them. */
const MANY = { statementTimeoutSeconds: 30 };

/**
 * Those there are of the definitions that documents are versions of or refer to. Locked are their own, and what a team's
 * lock is settled on, so that it is neither retired nor deprecated meanwhile: all in one order, or two imports would wait
 * for each other. Sub-agents are not, as agents may well be those of one another; in a dry run nothing is.
 */
async function knownOf(
  { db }: Context,
  documents: readonly DefinitionDocument[],
  { publish }: Manner,
  dryRun: boolean,
): Promise<Known[]> {
  const idsOf = (refer: (one: DefinitionDocument) => readonly { id: string }[]) =>
    documents.flatMap(refer).map(({ id }) => id);
  const members = idsOf((one) => (one.kind === "Team" ? one.members : []));
  const subagents = idsOf((one) => (one.kind === "Agent" ? one.subagents : []));
  const decided = new Set([...idsOf(({ metadata }) => [metadata]), ...(publish ? members : [])]);
  const named = [...members, ...subagents].filter((id) => !decided.has(id));
  const definition = sql`
    d.definition_id as id, d.kind, d.owner_team as "ownerTeam", d.retired_at is not null as retired,
    d.current_version as "currentVersion", d.current_source as "currentSource"`;
  const locked = await db.many(
    "definitions.lock",
    LockedRow,
    sql`
      select ${definition} from cams.definitions d where d.definition_id = any (${[...decided]}::text[])
      order by d.definition_id
      ${dryRun ? sql`` : sql`for update`}`,
  );
  const others = await db.many(
    "definitions.named",
    LockedRow,
    sql`select ${definition} from cams.definitions d where d.definition_id = any (${named}::text[])`,
  );
  const rows = [...locked, ...others];
  const versions = await db.many(
    "definitions.known_versions",
    VersionRow,
    sql`
      select v.definition_id as id, v.version, v.status, v.content_hash as "contentHash"
      from cams.definition_versions v where v.definition_id = any (${rows.map(({ id }) => id)}::text[])`,
  );
  const byId = Map.groupBy(versions, ({ id }) => id);
  return rows.map((row) => ({ ...row, versions: byId.get(row.id) ?? [] }));
}

/** Those that are new; another import that makes the same one at the same time has the other begin again. */
async function insertDefinitions({ db, now, caller }: Context, rows: readonly object[]): Promise<void> {
  const inserted = await db.execute(
    "definitions.insert",
    sql`
      insert into cams.definitions (
        definition_id, kind, owner_team, current_version, current_source, highest_version, created_at, created_by, updated_at,
        updated_by)
      select id, kind, "ownerTeam", current, "currentSource", highest, ${now}, ${caller.principal}, ${now}, ${caller.principal}
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as r (id text, kind text, "ownerTeam" text, current text, "currentSource" text, highest text)
      order by id
      -- Of any of its unique keys: one that is not named here would be an error when two insert at once.
      on conflict do nothing`,
  );
  // As the server says it of a transaction that may succeed when it is run again.
  if (inserted < rows.length) throw Object.assign(new Error("a definition was made meanwhile"), { code: "40001" });
}

async function updateDefinitions({ db, now, caller }: Context, rows: readonly object[]): Promise<void> {
  await db.execute(
    "definitions.update",
    sql`
      update cams.definitions d set
        owner_team = r."ownerTeam", current_version = r.current, current_source = r."currentSource",
        highest_version = r.highest, retired_at = case when r.current is null then d.retired_at end,
        updated_at = ${now}, updated_by = ${caller.principal}, revision = d.revision + 1
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as r (id text, "ownerTeam" text, current text, "currentSource" text, highest text)
      where d.definition_id = r.id`,
  );
}

async function insertVersions(
  { db, now, caller }: Context,
  rows: readonly object[],
  source: DefinitionSource,
): Promise<void> {
  await db.execute(
    "definitions.insert_versions",
    sql`
      insert into cams.definition_versions (
        definition_id, version, document, content_hash, status, source, member_lock, created_at, created_by,
        published_at, published_by)
      select id, version, document, "contentHash", status, ${source}, lock, ${now}, ${caller.principal},
        case when status = 'PUBLISHED' then ${now} end, case when status = 'PUBLISHED' then ${caller.principal} end
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as r (id text, version text, document jsonb, "contentHash" text, status text, lock jsonb)
      order by id, version`,
  );
}

/** Drafts that get other content, or are published, or both. */
async function updateDrafts(
  { db, now, caller }: Context,
  rows: readonly object[],
  source: DefinitionSource,
): Promise<void> {
  await db.execute(
    "definitions.update_drafts",
    sql`
      update cams.definition_versions v set
        document = r.document, content_hash = r."contentHash", status = r.status, member_lock = r.lock,
        source = case when v.content_hash = r."contentHash" then v.source else ${source} end,
        published_at = case when r.status = 'PUBLISHED' then ${now} end,
        published_by = case when r.status = 'PUBLISHED' then ${caller.principal} end
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as r (id text, version text, document jsonb, "contentHash" text, status text, lock jsonb)
      where (v.definition_id, v.version) = (r.id, r.version)`,
  );
}

/** The definitions of which some document is taken in, as they are to be. */
function rowsOf(known: readonly Known[], settled: ReadonlyMap<string, Settled>, written: readonly Named[]) {
  const before = new Map(known.map((one) => [one.id, one]));
  return [...Map.groupBy(written, ({ id }) => id)].map(([id, taken]) => {
    const { kind, ownerTeam, current, currentSource } = settled.get(id) as Settled;
    const one = before.get(id);
    const versions = [...taken, ...(one?.versions ?? [])].map(({ version }) => version);
    const row = { id, kind, ownerTeam, current, currentSource, highest: highest(versions) };
    // Its triggers are its owner's.
    const isGiven = current !== undefined && ownerTeam !== one?.ownerTeam;
    return { row, isNew: one === undefined, moved: current !== one?.currentVersion || isGiven };
  });
}

/** The triggers of what is current now, as subscriptions, in the place of those before; followers are told. */
export async function route({ db, now, caller, hints }: Context, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.execute(
    "definitions.unsubscribe",
    sql`
      delete from cams.subscriptions s
      where s.definition_id = any (${ids}::text[]) and s.from_version is not null`,
  );
  await db.execute(
    "definitions.subscribe",
    sql`
      insert into cams.subscriptions
        (event_type, filters, priority, definition_id, from_version, owner_team, created_at, created_by)
      select t.trigger ->> 'eventType', t.trigger -> 'filters',
        array_position(${RANKED}::text[], t.trigger ->> 'priority'), d.definition_id, v.version,
        d.owner_team, ${now}, ${caller.principal}
      from cams.definitions d
      join cams.definition_versions v on (v.definition_id, v.version) = (d.definition_id, d.current_version)
      cross join jsonb_array_elements(coalesce(v.document -> 'triggers', '[]')) as t (trigger)
      where d.definition_id = any (${ids}::text[])`,
  );
  for (const id of ids) db.afterCommit(() => hints.publish(definitionTopic(id)));
}

/** Takes documents in, in a transaction; one that is refused keeps no other back. */
async function takeIn(
  context: Context,
  documents: readonly DefinitionDocument[],
  manner: Manner,
  dryRun: boolean,
): Promise<Outcome[]> {
  const incoming = documents.map((document) => ({ document, contentHash: contentHashOf(document) }));
  const known = await knownOf(context, documents, manner, dryRun);
  const { outcomes, settled } = plan(incoming, known, manner, context.caller);
  if (dryRun) return outcomes;
  const having = (...actions: Outcome["action"][]) =>
    incoming.flatMap(({ document, contentHash }, index) => {
      const { action, status, lock } = outcomes[index] as Outcome;
      const { id, version } = document.metadata;
      return actions.includes(action) ? [{ id, version, document, contentHash, status, lock }] : [];
    });
  const definitions = rowsOf(known, settled, having("created", "replaced", "published"));
  const rows = (isNew: boolean) => definitions.filter((one) => one.isNew === isNew).map(({ row }) => row);
  await insertDefinitions(context, rows(true));
  await insertVersions(context, having("created"), manner.source);
  await updateDrafts(context, having("replaced", "published"), manner.source);
  await updateDefinitions(context, rows(false));
  await route(
    context,
    definitions.filter(({ moved }) => moved).map(({ row }) => row.id),
  );
  return outcomes;
}

/** How documents become versions, and versions current. */
export function definitionStore({ transaction }: Context) {
  return {
    /** Takes documents in; one that is refused keeps no other back. With `dryRun` nothing is written. */
    take(documents: readonly DefinitionDocument[], manner: Manner, dryRun = false): Promise<Outcome[]> {
      return transaction(async (_, bound) => {
        if (manner.source === "loader") await tell(bound, "source", "loader");
        return takeIn(bound, documents, manner, dryRun);
      }, MANY);
    },
  };
}

/** Tells the audit's triggers, for the rest of the transaction, why something is done, or by which way. */
export async function tell({ db }: Context, what: "reason" | "source", value: string | undefined): Promise<void> {
  if (value === undefined) return;
  await db.execute(`audit.tell_${what}`, sql`select set_config(${`cams.${what}`}, ${value}, true)`);
}
