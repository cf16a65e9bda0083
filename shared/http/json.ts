import { isUtf8 } from "node:buffer";
import { type Fault, Problem } from "../errors.ts";

/** Deepest nesting of a body: far below what a JSON parser's stack bears, far above what anybody writes. */
const MAX_DEPTH = 64;
/** Most faults that an answer names: a body of 1 MiB has room for 200,000. */
export const MAX_FAULTS = 100;
/** May have a number with more digits than a double: one of 16 characters or with an exponent, or text like one. */
const LONG_NUMBER = /[[:,\s]-?(?:[\d.]{16}|[\d.]+[eE])/;

/**
 * Reads a body as JSON.
 * @throws Problem malformed_json; invalid_request when it is nested too deeply, or has a number that would be changed
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new Problem("malformed_json", "The body is not UTF-8.");
  const text = bytes.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const position = /position (\d+)/.exec((cause as Error).message)?.[1];
    const where = position === undefined ? "it ends too early" : `at character ${position}`;
    throw new Problem("malformed_json", `The body is not JSON: ${where}.`, { cause });
  }
  if (isDeeper(json, MAX_DEPTH)) {
    const errors = [{ pointer: "", message: `must not be nested deeper than ${MAX_DEPTH} levels` }];
    throw new Problem("invalid_request", "The body is nested too deeply.", { errors });
  }
  const errors = LONG_NUMBER.test(text) ? inexactNumbers(text) : [];
  if (errors.length > 0) throw new Problem("invalid_request", "A number cannot be kept as it is.", { errors });
  return json;
}

/** A JSON pointer (RFC 6901). */
export function pointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1").toWellFormed()}`).join("");
}

/** Level by level, not by recursion: the depth is the caller's to choose. */
function isDeeper(value: unknown, limit: number): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== "object" || item === null) continue;
      for (const child of Object.values(item)) if (typeof child === "object" && child !== null) next.push(child);
    }
    level = next;
  }
  return false;
}

/** Numbers that a double cannot hold: refused, where passing them on would change a 64-bit id without a word. */
function inexactNumbers(text: string): Fault[] {
  const found: { holder: unknown; path: string[] }[] = [];
  JSON.parse(text, function (this: unknown, key: string, value: unknown, context?: { source?: string }) {
    if (typeof value === "number") {
      if (found.length < MAX_FAULTS && digitsOf(String(value)) !== digitsOf(context?.source ?? ""))
        found.push({ holder: this, path: [key] });
    } else if (typeof value === "object") {
      // From the inside out: what was found in this value is now found under its key.
      for (const fault of found)
        if (fault.holder === value) Object.assign(fault, { holder: this, path: [key, ...fault.path] });
    }
    return value;
  });
  const message = "has more digits than a number keeps: send it as text";
  return found.map(({ path }) => ({ pointer: pointer(path.slice(1)), message }));
}

/** The significant digits of a number, which say all but its size; none of zero, and "Infinity" of what is too big. */
function digitsOf(number: string): string {
  const digits = number.replace(/[eE].*/, "").replace(/^[-0.]+|\./g, "");
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return digits.slice(0, end);
}
