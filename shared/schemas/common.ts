import * as z from "zod";

/** Text that PostgreSQL can store and a log line can show: well-formed Unicode without control characters. */
export const text = (max: number, min = 1) =>
  z
    .string()
    .min(min)
    .max(max)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, "must not contain control characters")
    .refine((value) => value.isWellFormed(), "must be well-formed Unicode");

/** Text of several lines: as `text`, with line breaks and tabs. */
export const prose = (max: number) =>
  z
    .string()
    .max(max)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    .regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/, "must not contain control characters")
    .refine((value) => value.isWellFormed(), "must be well-formed Unicode");

/**
 * An address in any case: 1 to 255 characters, none of them white space, control or one of `/ ? # %`. Neither `.` nor
 * `..`, which no client would send as the end of a path.
 */
export const AiAgentAddress = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\s/?#%\p{C}\p{Z}]+$/u, "must be printable, without white space and none of / ? # %")
  .refine((value) => value !== "." && value !== "..", "must not be . or ..")
  .transform((value) => value.normalize("NFC").toLowerCase().normalize("NFC"))
  .refine((value) => value.length <= 255, "must be at most 255 characters in canonical form")
  .meta({
    id: "AiAgentAddress",
    description: "The stable name by which an agent is reached; case-insensitive, answered in lower case NFC.",
    example: "sales@corp.example",
  });

/** Whether an address is none of the system's own. */
export const notReserved = (address: string) => address !== "cams";

/** A time as the API writes it: RFC 3339, UTC, milliseconds. */
export const Timestamp = z.iso.datetime({ precision: 3 }).meta({
  id: "Timestamp",
  description: "RFC 3339 in UTC with milliseconds.",
  example: "2026-11-21T10:00:00.000Z",
});

/** A time as a client may write it: RFC 3339 with any offset; passed on in UTC, which PostgreSQL reads in every case. */
export const TimestampInput = z.iso
  .datetime({ offset: true, abort: true })
  .refine((value) => /^(?!0000)\d{4}-/.test(new Date(value).toISOString()), "must be in the years 1 to 9999")
  .transform((value) => new Date(value).toISOString())
  .meta({ description: "RFC 3339, any offset." });

/** A UUID of any version: ids made here are UUIDv7. */
export const Uuid = z.guid().transform((value) => value.toLowerCase());

/** A JSON object, passed on as it is: never looked into, so no key of it (`__proto__` included) is changed. */
export const JsonObject = z
  .custom<Record<string, unknown>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    "must be a JSON object",
  )
  .meta({
    id: "JsonObject",
    description: "Any JSON object.",
    override: { type: "object", additionalProperties: true },
  });

/** A JSON object of at most so many bytes as JSON in UTF-8. */
export const sizedObject = (bytes: number) =>
  JsonObject.refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= bytes,
    `must be at most ${bytes / 1024} KiB as JSON`,
  );

/** Words of the client's own, string to string, at most so many. */
export const stringMap = (entries: number) =>
  z.preprocess(
    (value, report) => {
      if (typeof value !== "object" || value === null) return value;
      const names = Object.keys(value);
      // Before the entries are read: a body has room for 100,000, which would take seconds.
      if (names.length > entries) report.addIssue({ code: "custom", message: `must have at most ${entries} entries` });
      // zod leaves this one out without a word.
      else if (names.includes("__proto__"))
        report.addIssue({ code: "custom", path: ["__proto__"], message: "cannot be a key" });
      else return value;
      return {};
    },
    z.record(text(255), text(2000, 0)),
  );

/** A whole number in a query; what is out of its bounds is told by the bounds, not by this. */
export const wholeNumber = () =>
  z.coerce.number({ error: ({ code }) => (code === "invalid_type" ? "must be a whole number" : undefined) }).int();

/** `pageSize` and `pageToken`, which every list takes. */
export const Page = {
  pageSize: wholeNumber().min(1).max(1000).default(50).meta({ description: "Most items to answer." }),
  pageToken: z.string().max(1000).optional().meta({ description: "`nextPageToken` of the page before." }),
};

/** The query of a list that has nothing but pages. */
export const PageQuery = z.strictObject(Page);

/** A query parameter that is `true` or `false`. */
export const flag = (ifAbsent: "true" | "false") =>
  z
    .enum(["true", "false"])
    .default(ifAbsent)
    .transform((value) => value === "true");

/** A page of a list: `nextPageToken` is there when there may be more. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), nextPageToken: z.string().optional() });

/** A problem as it stands inside a list of results. */
export const ProblemItem = z
  .strictObject({ code: z.string(), status: z.number().int(), title: z.string(), detail: z.string() })
  .meta({ id: "ProblemItem" });
