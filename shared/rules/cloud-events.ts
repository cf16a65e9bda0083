import { createHash } from "node:crypto";
import type * as z from "zod";
import type { Priority } from "../schemas/message.ts";

/** An event as it is published: what is absent is given by the log. */
export interface EventToPublish {
  type: string;
  /** Its CloudEvent's id: with the source it makes the event known again. */
  id?: string | undefined;
  source?: string | undefined;
  subject?: string | undefined;
  /** RFC 3339 in UTC. */
  time?: string | undefined;
  datacontenttype?: string | undefined;
  dataschema?: string | undefined;
  extensions?: Record<string, string | number | boolean> | undefined;
  data?: unknown;
  data_base64?: string | undefined;
  priority?: z.output<typeof Priority> | undefined;
}

/** An event as it is in the log. */
export interface LoggedEvent extends EventToPublish {
  eventId: string;
  id: string;
  source: string;
  time: string;
  priority: z.output<typeof Priority>;
  traceparent?: string | undefined;
}

/**
 * An event of the log as a CloudEvent 1.0 in structured form. What the specification has no attribute for is an
 * extension: `priority`, and `eventid`, its id here.
 */
export function cloudEventOf(event: LoggedEvent): Record<string, unknown> {
  const { eventId, type, id, source, subject, time, datacontenttype, dataschema, extensions, priority } = event;
  return {
    specversion: "1.0",
    id,
    source,
    type,
    ...(subject !== undefined && { subject }),
    time,
    ...(datacontenttype !== undefined && { datacontenttype }),
    ...(dataschema !== undefined && { dataschema }),
    ...extensions,
    ...(event.traceparent !== undefined && { traceparent: event.traceparent }),
    eventid: eventId,
    priority,
    ...(event.data !== undefined && { data: event.data }),
    ...(event.data_base64 !== undefined && { data_base64: event.data_base64 }),
  };
}

/** What tells a repetition of an event from another one under its id. A trace is of the attempt, not of the event. */
export function eventHash(event: EventToPublish): Buffer {
  const { traceparent: _, tracestate: __, ...extensions } = event.extensions ?? {};
  const content = [
    event.type,
    event.subject,
    event.time,
    event.datacontenttype,
    event.dataschema,
    Object.entries(extensions).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    event.priority,
    event.data,
    event.data_base64,
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest();
}
