import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { parseExactly } from "../json.ts";
import { cloudEventOf } from "../rules/cloud-events.ts";
import { RANKED } from "../rules/priority.ts";

/** A row of the log. */
export const StoredEvent = z.object({
  eventId: z.string(),
  publishedAt: z.string(),
  publishedBy: z.string(),
  source: z.string(),
  id: z.string(),
  type: z.string(),
  subject: z.string().optional(),
  time: z.string(),
  datacontenttype: z.string().optional(),
  dataschema: z.string().optional(),
  extensions: z.custom<Record<string, string | number | boolean>>().optional(),
  dataText: z.string().optional(),
  data_base64: z.string().optional(),
  rank: z.int(),
  traceparent: z.string().optional(),
  messages: z.int(),
  tasks: z.int(),
  unhandled: z.boolean(),
});

/** Columns of the log, an event `e`. Its data as text: a JSON null is something else than no data. */
export const storedEvent: Sql = sql`
  e.event_id as "eventId", e.published_at as "publishedAt", e.published_by as "publishedBy", e.source, e.id, e.type, e.subject,
  e.time::timestamptz(3) as time, e.datacontenttype, e.dataschema, e.extensions, e.data::text as "dataText", e.data_base64,
  e.priority as rank, e.traceparent, e.messages, e.tasks, e.unhandled`;

/** A row as the log's rules know it. */
export function loggedEvent({ rank, dataText, ...row }: z.output<typeof StoredEvent>) {
  const priority = RANKED[rank - 1] as (typeof RANKED)[number];
  return { ...row, priority, ...(dataText !== undefined && { data: parseExactly(dataText) }) };
}

/** A row as the API shows it. */
export function shownEvent(row: z.output<typeof StoredEvent>) {
  const { eventId, publishedAt, publishedBy, messages, tasks, unhandled } = row;
  const logged = loggedEvent(row);
  return {
    eventId,
    publishedAt,
    publishedBy,
    priority: logged.priority,
    messages,
    tasks,
    unhandled,
    event: cloudEventOf(logged),
  };
}
