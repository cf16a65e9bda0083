import * as z from "zod";
import { text } from "./common.ts";

const MAX_PATHS = 50;
const MAX_VALUES = 100;
const MAX_TEXT = 1000;
/** Of all filters together, as JSON: they are read for every event whose type fits. */
const MAX_CHARACTERS = 16 * 1024;

/** A string that compares with a number: the operator and the number, as in `>= 300`. */
export const COMPARISON = /^(>=|<=|>|<) *([+-]?\d+(?:\.\d+)?)$/;

const Text = z
  .string()
  .max(MAX_TEXT)
  .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be well-formed Unicode without NUL");

const Scalar = z.union(
  [
    Text.refine(
      (value) => !/^[<>]/.test(value) || COMPARISON.test(value),
      "must be a comparison with a number, such as >= 300, where it begins with < or >",
    ),
    z.number(),
    z.boolean(),
    z.null(),
  ],
  "must be a string, a number, true, false or null",
);

const AnyOf = z.array(Scalar).min(1).max(MAX_VALUES);

const Bound = z.union([z.number(), Text], "must be a number or a string").optional();

const Operators = z
  .strictObject(
    {
      gt: Bound,
      gte: Bound,
      lt: Bound,
      lte: Bound,
      not: z.union([Scalar, AnyOf], "must be a string, a number, true, false, null or a list of them").optional(),
      prefix: Text.optional(),
      exists: z.boolean().optional(),
    },
    {
      error: ({ code }) =>
        code === "unrecognized_keys" ? "is not one of gt, gte, lt, lte, not, prefix, exists" : undefined,
    },
  )
  .refine((operators) => Object.keys(operators).length > 0, {
    error: "must not be empty",
    when: ({ issues }) => issues.length === 0,
  })
  .refine(
    ({ gt, gte, lt, lte, prefix }) =>
      new Set([gt, gte, lt, lte, prefix].filter((one) => one !== undefined).map((one) => typeof one)).size < 2,
    "must not compare with both numbers and strings",
  );

/** What a value of an event's data has to be: equal to one, any of a list, or all that the operators say. */
export type Condition = z.output<typeof Scalar> | z.output<typeof AnyOf> | z.output<typeof Operators>;

/** Names of properties, separated by dots. */
const Path = text(255).regex(/^[^.]+(?:\.[^.]+)*$/, "must be names separated by dots");

const types = <T extends string>(...names: T[]) => names;
const scalar = { type: types("string", "number", "boolean", "null"), maxLength: MAX_TEXT };
const anyOf = { type: "array" as const, minItems: 1, maxItems: MAX_VALUES, items: scalar };
const bound = { type: types("number", "string"), maxLength: MAX_TEXT };
const operators = {
  type: "object" as const,
  properties: {
    ...{ gt: bound, gte: bound, lt: bound, lte: bound, not: { anyOf: [scalar, anyOf] } },
    ...{ prefix: { type: "string" as const, maxLength: MAX_TEXT }, exists: { type: "boolean" as const } },
  },
  additionalProperties: false,
  minProperties: 1,
};

/** Which events of a type: paths into their data, and a condition for what is there. All must hold. */
export type EventFilters = Record<string, Condition>;
export const EventFilters = (z.unknown() as z.ZodType<EventFilters>).superRefine(check).meta({
  id: "EventFilters",
  description: [
    "Paths into an event's data (names separated by dots, no indexes), each with a condition; all must hold. A string,",
    "number, `true`, `false` or `null` is equal to the value, a string such as `>= 300` compares it with a number, a list is",
    "any of them. `gt`, `gte`, `lt`, `lte` compare numbers with numbers and strings with strings; `prefix` is how a string",
    "begins, `not` what it is not (one or a list), `exists` whether there is a value at all. Of a list in the data one",
    "element has to fit, and with `not` none. Nothing is converted; where there is no value, only `exists: false` and `not`",
    "hold. At most 16,384 characters as JSON.",
  ].join(" "),
  example: { severity: "critical", duration_seconds: ">= 300", "device.model": ["a1", "a2"] },
  override: {
    type: "object",
    maxProperties: MAX_PATHS,
    propertyNames: { type: "string", minLength: 1, maxLength: 255 },
    additionalProperties: { anyOf: [scalar, anyOf, operators] },
  },
});

function check(filters: unknown, report: z.core.$RefinementCtx): void {
  if (!isObject(filters)) report.addIssue("must be an object");
  // Before they are read: a body has room for 100,000.
  else if (Object.keys(filters).length > MAX_PATHS) report.addIssue(`must have at most ${MAX_PATHS} entries`);
  else if (JSON.stringify(filters).length > MAX_CHARACTERS)
    report.addIssue(`must have at most ${MAX_CHARACTERS} characters as JSON`);
  else
    for (const [path, condition] of Object.entries(filters))
      for (const issue of issuesOf(path, condition))
        report.addIssue({ ...issue, path: [path, ...issue.path] } as Parameters<typeof report.addIssue>[0]);
}

/** What is wrong, and where: a union of all conditions would only say that none of them fits. */
function issuesOf(path: string, condition: unknown): z.core.$ZodIssue[] {
  const schema = Array.isArray(condition) ? AnyOf : isObject(condition) ? Operators : Scalar;
  return [Path.safeParse(path), schema.safeParse(condition)].flatMap(({ error }) => error?.issues ?? []);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
