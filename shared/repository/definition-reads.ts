import * as z from "zod";
import { and, sql } from "../db/sql.ts";
import { definitionNotFound, versionNotFound } from "../errors.ts";
import { readCursor, toPage, writeCursor } from "../rules/cursors.ts";
import { changeOf } from "../rules/definition-history.ts";
import { prefixQuery } from "../rules/words.ts";
import { type PageQuery, Timestamp } from "../schemas/common.ts";
import { Definition, type DefinitionFilter, VersionSummary } from "../schemas/definition.ts";
import { type DefinitionDocument, Version } from "../schemas/definition-document.ts";
import { inWords } from "./audit-rows.ts";
import { StoredVersion, shownVersion, storedVersion, versionSummary } from "./definition-rows.ts";
import type { Context } from "./index.ts";

const Standing = z.object({ current: z.string().optional(), highest: z.string(), retired: z.boolean() });
const ListCursor = z.tuple([Timestamp, z.string()]);
const VersionCursor = z.tuple([Version]);
const HistoryCursor = z.tuple([z.int()]);
const Recorded = z.object({
  sequence: z.int(),
  at: Timestamp,
  entry: z.looseObject({
    before: z.custom<Record<string, unknown> | null>().optional(),
    after: z.custom<Record<string, unknown> | null>().optional(),
  }),
  documentBefore: z.custom<DefinitionDocument>().optional(),
  documentAfter: z.custom<DefinitionDocument>().optional(),
  found: z.int(),
});

/** Most bytes of documents on a page of the history: a change of a large document has it twice. */
const HISTORY_BYTES = 8 * 1024 * 1024;

/** What is read of definitions: by everybody who may call. */
export function definitionReads({ db }: Context) {
  const reads = {
    /**
     * The current version, or the one asked for.
     * @throws Problem definition_not_found, version_not_found
     */
    async get(id: string, version?: string) {
      const found = await db.maybe(
        "definitions.get",
        StoredVersion,
        sql`
          select ${storedVersion}
          from cams.definitions d
          join cams.definition_versions v
            on v.definition_id = d.definition_id and v.version = coalesce(${version}, d.current_version)
          where d.definition_id = ${id}`,
      );
      if (found) return found;
      const { retired } = await reads.standing(id);
      throw versionNotFound(id, version, retired);
    },

    /**
     * Which versions of a definition are current, if one is, and highest; and whether it is retired.
     * @throws Problem definition_not_found
     */
    async standing(id: string) {
      return db.one(
        "definitions.standing",
        Standing,
        sql`
          select d.current_version as current, d.highest_version as highest, d.retired_at is not null as retired
          from cams.definitions d where d.definition_id = ${id}`,
        () => definitionNotFound(id),
      );
    },

    /**
     * The highest first.
     * @throws Problem definition_not_found
     */
    async versions(id: string, { pageSize, pageToken }: z.output<typeof PageQuery>) {
      const after = readCursor(VersionCursor, pageToken);
      const rows = await db.many(
        "definitions.versions",
        VersionSummary,
        sql`
          select ${versionSummary}
          from cams.definition_versions v join cams.definitions d using (definition_id)
          where ${and([sql`v.definition_id = ${id}`, after && sql`v.version_order < cams.version_order(${after[0]})`])}
          order by v.version_order desc
          limit ${pageSize + 1}`,
      );
      if (rows.length === 0) await reads.standing(id);
      return toPage(rows, pageSize, (row) => [row.version]);
    },

    /** Newest first, each as its current version shows it, or while none is current its highest. */
    async list(filter: z.output<typeof DefinitionFilter>) {
      const after = readCursor(ListCursor, filter.pageToken);
      const isLive = filter.status && filter.status !== "RETIRED";
      const rows = await db.many(
        "definitions.list",
        Definition,
        sql`
          select d.definition_id as id, d.kind, v.document #>> '{metadata,name}' as name,
            v.document #>> '{metadata,description}' as description, v.document #>> '{metadata,role}' as role,
            v.document #> '{metadata,tags}' as tags, d.owner_team as "ownerTeam",
            case when d.retired_at is null then v.status else 'RETIRED' end as status,
            d.current_version as "currentVersion", d.highest_version as "highestVersion", d.created_at as "createdAt",
            d.created_by as "createdBy", d.updated_at as "updatedAt", d.updated_by as "updatedBy", d.revision
          from cams.definitions d join ${shownVersion}
          where ${and([
            filter.kind && sql`d.kind = ${filter.kind}`,
            filter.status === "RETIRED" && sql`d.retired_at is not null`,
            isLive && sql`d.retired_at is null and v.status = ${filter.status}`,
            filter.tag !== undefined && sql`v.document #> '{metadata,tags}' ? ${filter.tag}`,
            filter.ownerTeam !== undefined && sql`d.owner_team = ${filter.ownerTeam}`,
            filter.q !== undefined && sql`v.words @@ to_tsquery('simple', ${prefixQuery(filter.q)})`,
            after && sql`(d.created_at, d.definition_id) < (${after[0]}::timestamptz, ${after[1]})`,
          ])}
          order by d.created_at desc, d.definition_id desc
          limit ${filter.pageSize + 1}`,
      );
      return toPage(rows, filter.pageSize, (row) => [row.createdAt, row.id]);
    },

    /**
     * Every decision, newest first; fewer on a page than asked for when their documents are large.
     * @throws Problem definition_not_found
     */
    async history(id: string, { pageSize, pageToken }: z.output<typeof PageQuery>) {
      const before = readCursor(HistoryCursor, pageToken);
      const rows = await db.many(
        "definitions.history",
        Recorded,
        sql`
          with page as materialized (
            select c.sequence, c.at, c.entry,
              -- What a definition itself records is which version is current: shown with the document.
              (select v.document from cams.definition_versions v
                where v.definition_id = ${id} and v.version = c.entry #>> '{before,current_version}') as before,
              (select v.document from cams.definition_versions v
                where v.definition_id = ${id} and v.version = c.entry #>> '{after,current_version}') as after
            from cams.definition_changes c
            where ${and([sql`c.definition_id = ${id}`, before && sql`c.sequence < ${before[0]}`])}
            order by c.sequence desc
            limit ${pageSize + 1}
          ), sized as (
            select *, count(*) over () as found, row_number() over w as place,
              sum(octet_length(concat(entry, before, after))) over w as bytes
            from page
            window w as (order by sequence desc)
          )
          select sequence, at, entry, before as "documentBefore", after as "documentAfter", found
          from sized
          where place = 1 or bytes <= ${HISTORY_BYTES}
          order by sequence desc`,
      );
      if (rows.length === 0 && !before) await reads.standing(id);
      const items = rows.slice(0, pageSize);
      const last = items.at(-1);
      return {
        items: items.map(({ documentBefore, documentAfter, entry, found: _, ...row }) => {
          const state = (columns: object | null | undefined, document: DefinitionDocument | undefined) =>
            columns ? { ...inWords(columns as Record<string, unknown>), ...(document && { document }) } : undefined;
          return changeOf({
            ...row,
            ...entry,
            before: state(entry.before, documentBefore),
            after: state(entry.after, documentAfter),
          });
        }),
        ...(last && last.found > items.length && { nextPageToken: writeCursor([last.sequence]) }),
      };
    },
  };
  return reads;
}
