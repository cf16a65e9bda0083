import * as z from "zod";

const segment = "[^\\s\\p{C}\\p{Z}.*#]+";
/** So that the patterns that could match a type can all be named: 767 of them at most, however long it is. */
const MAX_WILD_SEGMENTS = 8;

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
  .regex(
    new RegExp(`^(?:#|(?:${segment}|\\*)(?:\\.(?:${segment}|\\*))*(?:\\.#)?)$`, "u"),
    "must be segments separated by dots, without white space; * is one segment, # at the end any number",
  )
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
