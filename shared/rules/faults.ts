import type * as z from "zod";
import type { Fault } from "../errors.ts";

/** Most faults that an answer names: a body of 1 MiB has room for 200,000. */
export const MAX_FAULTS = 100;

const KINDS: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};
const FORMATS: Record<string, string> = {
  datetime: "a time as in RFC 3339, such as 2026-11-21T10:00:00Z",
  guid: "a UUID",
  safeint: "a whole number",
};
const UNITS: Record<string, string> = { string: " characters", array: " entries" };

/** What is wrong, in the words of the API; a schema's own words go before ours. */
export function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const own = /^(Invalid|Unrecognized|Too (small|big))\b/.test(issue.message) ? undefined : issue.message;
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), message: own ?? "is not a field here" }));
  const meant = meantBy(issue);
  if (meant) return meant.flatMap((inner) => faultsOf({ ...inner, path: [...issue.path, ...inner.path] }));
  return [{ pointer: pointer(issue.path), message: own ?? wordsOf(issue) }];
}

/** What is wrong in the only object of a union that has all the fields given, and none that is missing. */
function meantBy(issue: z.core.$ZodIssue): z.core.$ZodIssue[] | undefined {
  if (issue.code !== "invalid_union") return undefined;
  const isInField = (inner: z.core.$ZodIssue) => inner.path.length > 0 && !inner.message.endsWith("received undefined");
  const [meant, ...others] = issue.errors.filter((inner) => inner.length > 0 && inner.every(isInField));
  return others.length === 0 ? meant : undefined;
}

function wordsOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.message.endsWith("received undefined")
        ? "is required"
        : `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "too_small":
      if (issue.minimum === 1 && issue.origin in UNITS) return "must not be empty";
      return `must ${issue.origin in UNITS ? "have" : "be"} at least ${issue.minimum}${UNITS[issue.origin] ?? ""}`;
    case "too_big":
      return `must ${issue.origin in UNITS ? "have" : "be"} at most ${issue.maximum}${UNITS[issue.origin] ?? ""}`;
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
    case "invalid_union":
      return "options" in issue ? `must be one of ${(issue.options as string[]).join(", ")}` : issue.message;
    case "invalid_format":
      return `must be ${FORMATS[issue.format] ?? issue.format}`;
    default:
      return issue.message;
  }
}

/** A JSON pointer (RFC 6901). */
export function pointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1").toWellFormed()}`).join("");
}
