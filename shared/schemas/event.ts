import * as z from "zod";
import { JsonObject, Page, pageOf, Timestamp, TimestampInput, text, Uuid } from "./common.ts";
import { source, subject } from "./event-attributes.ts";
import { Priority } from "./message.ts";

const segment = "[^\\s\\p{C}\\p{Z}.*#]+";
/** So that the patterns that could match a type can all be named: 767 of them at most, however long it is. */
const MAX_WILD_SEGMENTS = 8;

/** Most bytes of an event's data as JSON in UTF-8. */
const MAX_DATA_BYTES = 256 * 1024;

/** What kind of event it is: 1 to 255 characters in segments separated by dots; every one is a pattern for itself. */
export const EventType = z
  .string()
  .max(255)
  .regex(
    new RegExp(`^${segment}(?:\\.${segment})*$`, "u"),
    "must be segments separated by dots, without white space, control characters, * and #",
  )
  .meta({ id: "EventType", example: "alert.blackscreen" });

/** Dot-separated: `*` is one segment, `#` at the end any number of them, none included. */
export const EventTypePattern = z
  .string()
  .max(255)
  .regex(new RegExp(`^(?:#|(?:${segment}|\\*)(?:\\.(?:${segment}|\\*))*(?:\\.#)?)$`, "u"), {
    // `?type=alert.#` arrives as `alert.`: what begins with # is no part of what a URL asks for.
    error: ({ input }) =>
      `must be segments separated by dots, without white space; * is one segment, # at the end any number${/(^|\.)$/.test(String(input)) ? ", written %23 in a URL" : ""}`,
  })
  .refine(isWithinLimits, `must have at most ${MAX_WILD_SEGMENTS} segments beside a final # when it has a wildcard`)
  .meta({
    id: "EventTypePattern",
    description: `\`*\` is one segment, \`#\` at the end any number of them, none included. At most ${MAX_WILD_SEGMENTS} segments beside a final \`#\` when it has a wildcard.`,
    example: "alert.*",
  });

function isWithinLimits(pattern: string): boolean {
  const segments = pattern.split(".");
  const isWild = segments.some((one) => one === "*" || one === "#");
  return !isWild || segments.length - (segments.at(-1) === "#" ? 1 : 0) <= MAX_WILD_SEGMENTS;
}

/** What an event says: any JSON. */
export const EventData = z
  .unknown()
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value) ?? "") <= MAX_DATA_BYTES,
    "must be at most 256 KiB as JSON",
  )
  .meta({ id: "EventData", description: "Any JSON of at most 256 KiB: the event's `data`." });

/** The plain form of an event. */
export const PlainEvent = z
  .strictObject(
    {
      type: EventType,
      payload: EventData.optional(),
      priority: Priority.optional(),
      source: source
        .optional()
        .meta({ description: "Where it happened, a URI reference; without it who publishes.", example: "/orders" }),
      subject: subject.optional().meta({ description: "To what it happened." }),
    },
    {
      error: (issue) =>
        issue.code === "unrecognized_keys" && issue.keys.some((key) => key === "specversion" || key === "data")
          ? "is not a field here: send a CloudEvent with Content-Type: application/cloudevents+json, or its data as payload"
          : undefined,
    },
  )
  .meta({ id: "PlainEvent" });

/** What became of an event. */
export const EventPublished = z
  .strictObject({
    eventId: z.guid(),
    messages: z.int().meta({ description: "Messages made of it, one for each inbox." }),
    tasks: z.int().meta({ description: "Tasks made of it, one for each definition." }),
    unhandled: z.boolean().meta({ description: "Nobody gets it." }),
  })
  .meta({ id: "EventPublished" });
export const EventsPublished = z.strictObject({ events: z.array(EventPublished) }).meta({ id: "EventsPublished" });

/** An event of the log. */
export const Event = z
  .strictObject({
    ...EventPublished.shape,
    publishedAt: Timestamp,
    publishedBy: z.string(),
    priority: Priority,
    event: JsonObject.meta({ description: "The CloudEvent in structured form, as its subscribers get it." }),
  })
  .meta({ id: "Event" });

export const EventPath = z.strictObject({ eventId: Uuid });

/** Filters of the list. */
export const EventFilter = z.strictObject({
  ...Page,
  type: EventTypePattern.optional().meta({ description: "A pattern." }),
  source: text(1024).optional(),
  subject: text(1024).optional(),
  unhandled: z
    .enum(["true", "false"])
    .optional()
    .transform((value) => value && value === "true"),
  after: TimestampInput.optional().meta({ description: "Published at this time or later." }),
  before: TimestampInput.optional().meta({ description: "Published before this time." }),
});
export const EventPage = pageOf(Event).meta({ id: "EventPage" });

export const EventStatsQuery = z.strictObject({
  from: TimestampInput.optional().meta({ description: "Default: 24 hours ago." }),
});
const Quantiles = z.strictObject({
  count: z.int(),
  medianSeconds: z.number().optional(),
  p95Seconds: z.number().optional(),
});
/** What happened since a time, in figures. */
export const EventStats = z
  .strictObject({
    from: Timestamp,
    to: Timestamp,
    events: z.int(),
    unhandled: z.int(),
    messages: z.int(),
    tasks: z.int(),
    byType: z
      .array(z.strictObject({ type: z.string(), events: z.int(), unhandled: z.int() }))
      .meta({ description: "The hundred most frequent." }),
    delivery: Quantiles.meta({ description: "Time to when its message was first handed out." }),
    start: Quantiles.meta({ description: "Time to when its task was first claimed." }),
  })
  .meta({ id: "EventStats" });
