import * as z from "zod";
import { text } from "./common.ts";

const MAX_PATHS = 50;

/** A string that compares with a number: the operator and the number, as in `>= 300`. */
export const COMPARISON = /^(>=|<=|>|<) *([+-]?\d+(?:\.\d+)?)$/;

const Text = z
  .string()
  .max(1000)
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

const AnyOf = z.array(Scalar).min(1).max(100);

const Bound = z.union([z.number(), Text], "must be a number or a string").optional();

const Operators = z
  .strictObject({
    gt: Bound,
    gte: Bound,
    lt: Bound,
    lte: Bound,
    not: z.union([Scalar, AnyOf], "must be a string, a number, true, false, null or a list of them").optional(),
    prefix: Text.optional(),
    exists: z.boolean().optional(),
  })
  .refine((operators) => Object.keys(operators).length > 0, "must not be empty")
  .refine(
    ({ gt, gte, lt, lte, prefix }) =>
      new Set([gt, gte, lt, lte, prefix].filter((one) => one !== undefined).map((one) => typeof one)).size < 2,
    "must not compare with both numbers and strings",
  );

/** What a value of an event's data has to be: equal to one, any of a list, or all that the operators say. */
export type Condition = z.output<typeof Condition>;
export const Condition = z.union([Scalar, AnyOf, Operators]);

/** Names of properties, separated by dots. */
const Path = text(255).regex(/^[^.]+(?:\.[^.]+)*$/, "must be names separated by dots");

/** Which events of a type: paths into their data, and a condition for what is there. All must hold. */
export type EventFilters = z.output<typeof EventFilters>;
export const EventFilters = z
  .preprocess(
    (filters, report) => (isObject(filters) && hasFaults(filters, report) ? {} : filters),
    z.record(Path, Condition),
  )
  .meta({
    id: "EventFilters",
    description: [
      `At most ${MAX_PATHS} paths into an event's data (names separated by dots, no indexes), each with a condition; all must`,
      "hold. A string, number, `true`, `false` or `null` is equal to the value, a string such as `>= 300` compares it with a",
      "number, a list is any of them. `gt`, `gte`, `lt`, `lte` compare numbers with numbers and strings with strings; `prefix`",
      "is how a string begins, `not` what it is not (one or a list), `exists` whether there is a value at all. Of a list in",
      "the data one element has to fit, and with `not` none. Nothing is converted; where there is no value, only",
      "`exists: false` and `not` hold.",
    ].join(" "),
    example: { severity: "critical", duration_seconds: ">= 300", "device.model": ["a1", "a2"] },
  });

/** Reports what is wrong where it is: a union of all conditions would only say that none of them fits. */
function hasFaults(filters: Record<string, unknown>, report: z.core.$RefinementCtx): boolean {
  const paths = Object.keys(filters);
  // Before they are read: a body has room for 100,000.
  if (paths.length > MAX_PATHS) {
    report.addIssue({ code: "custom", path: [], message: `must have at most ${MAX_PATHS} entries` });
    return true;
  }
  const issues = paths.flatMap((path) => {
    // zod leaves this one out of a record without a word.
    if (path === "__proto__") return [{ code: "custom" as const, path: [path], message: "cannot be a path" }];
    const condition = filters[path];
    const schema = Array.isArray(condition) ? AnyOf : isObject(condition) ? Operators : Scalar;
    const found = [Path.safeParse(path), schema.safeParse(condition)].flatMap(({ error }) => error?.issues ?? []);
    return found.map((issue) => ({ ...issue, path: [path, ...issue.path] }));
  });
  for (const issue of issues) report.addIssue(issue as Parameters<typeof report.addIssue>[0]);
  return issues.length > 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
