import * as z from "zod";
import { TimestampInput } from "./common.ts";
import { EventType, PlainEvent } from "./event.ts";
import { attribute, source, subject, URI } from "./event-attributes.ts";
import { Priority } from "./message.ts";

/** Most events of one batch. */
export const MAX_EVENTS = 100;
/** Most extension attributes of one event. */
const MAX_EXTENSIONS = 30;

const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;.*)?$/;

const attributes = {
  specversion: z.literal("1.0"),
  id: attribute(255),
  source,
  type: EventType,
  subject: subject.optional(),
  time: TimestampInput.optional(),
  datacontenttype: attribute(255).regex(MEDIA_TYPE, "must be a media type").optional(),
  dataschema: attribute(2048).regex(URI, "must be a URI as in RFC 3986").optional(),
  data: z.unknown().optional(),
  data_base64: z
    .string()
    .refine((value) => Buffer.from(value, "base64").toString("base64") === value, "must be base64")
    .optional(),
};

/** The names of what is no extension. */
export const ATTRIBUTES: ReadonlySet<string> = new Set(Object.keys(attributes));

const ExtensionValue = z.union([attribute(1024, 0), z.int32(), z.boolean()]);

const priorityOf = (word: unknown) => Priority.safeParse(typeof word === "string" ? word.toUpperCase() : word).data;

function extensionFault(name: string, value: unknown): string | undefined {
  if (name === "data_base64") return "must not be there beside data";
  if (!/^[a-z0-9]{1,40}$/.test(name)) return "is not an attribute's name: 1 to 40 of the characters a-z and 0-9";
  if (name === "priority") return priorityOf(value) ? undefined : `must be one of ${Priority.options.join(", ")}`;
  if (ExtensionValue.safeParse(value).success) return undefined;
  return "must be at most 1024 characters without control characters, a whole number of 32 bits, or true or false";
}

/** Names and values, as many as came. */
const Extensions = z
  .custom<[string, unknown][]>()
  .transform((entries, report): Record<string, string | number | boolean> => {
    // Before they are read: a body has room for 100,000.
    if (entries.length > MAX_EXTENSIONS) {
      report.addIssue({ code: "custom", message: `must have at most ${MAX_EXTENSIONS} extension attributes` });
      return {};
    }
    for (const [name, value] of entries) {
      const message = extensionFault(name, value);
      if (message) report.addIssue({ code: "custom", path: [name], message });
    }
    return Object.fromEntries(entries as [string, string | number | boolean][]);
  });

/**
 * An event as it was taken apart: what is no attribute of CloudEvents is under `extensions`, as a list of pairs, and so is
 * `data_base64` beside data, to be refused there with all other faults.
 */
const Parted = z
  .object({ ...attributes, extensions: Extensions })
  .transform(({ extensions: { priority, ...extensions }, ...event }) => {
    const told = priorityOf(priority);
    return { ...event, ...(told && { priority: told }), extensions };
  });

/** A CloudEvent 1.0; `time` is in UTC with milliseconds, and an extension `priority` is the event's own. */
export type CloudEvent = z.output<typeof Parted>;

/** An event as it came: one that was sent plainly says less of itself than a CloudEvent. */
export type IncomingEvent = { [Name in keyof CloudEvent]?: CloudEvent[Name] | undefined } & Pick<CloudEvent, "type">;

/** Events as they came, and how. */
export interface IncomingEvents {
  mode: "plain" | "structured" | "binary" | "batch";
  events: IncomingEvent[];
}

const came = (mode: IncomingEvents["mode"], events: IncomingEvent[]): IncomingEvents => ({ mode, events });

/** One event that came as JSON. */
export const StructuredEvent = Parted.transform((event) => came("structured", [event]));

/** One event that came in headers and a body. */
export const BinaryEvent = Parted.transform((event) => came("binary", [event]));

/** Several events in one body. */
export const EventBatch = z
  .array(z.unknown())
  .min(1)
  .max(MAX_EVENTS)
  .pipe(z.array(Parted))
  .transform((events) => came("batch", events));

/** One event that was said plainly. */
export const PlainlySaid = PlainEvent.transform(({ payload, ...event }) =>
  came("plain", [{ ...event, ...(payload !== undefined && { data: payload, datacontenttype: "application/json" }) }]),
);

/** An event in the JSON format of CloudEvents, as it is described. */
export const CloudEventJson = z
  .object(attributes)
  .catchall(ExtensionValue)
  .meta({ id: "CloudEvent", description: "CloudEvents 1.0.2; what is no attribute of it is an extension." });

/** A batch in the JSON format of CloudEvents, as it is described. */
export const CloudEventBatchJson = z.array(CloudEventJson).min(1).max(MAX_EVENTS);

/** The headers of a CloudEvent in binary mode, as they are described. */
export const cloudEventHeaders = Object.fromEntries(
  ["specversion", "id", "source", "type", "subject", "time", "dataschema"].map((name) => [
    `ce-${name}`,
    z
      .string()
      .optional()
      .meta({
        description: `Of a CloudEvent in binary mode, as are more named \`ce-…\`: its \`${name}\`, percent-encoded.`,
      }),
  ]),
);
