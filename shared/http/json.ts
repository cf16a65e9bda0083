import { isUtf8 } from "node:buffer";
import { Problem } from "../errors.ts";
import { parseExactly } from "../json.ts";

/** Deepest nesting of a body: far below what a JSON parser's stack bears, far above what anybody writes. */
const MAX_DEPTH = 64;

/**
 * Reads a body as JSON.
 * @throws Problem malformed_json; invalid_request when it is nested too deeply
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new Problem("malformed_json", "The body is not UTF-8.");
  let json: unknown;
  try {
    json = parseExactly(bytes.toString());
  } catch (cause) {
    const position = /position (\d+)/.exec((cause as Error).message)?.[1];
    const where = position === undefined ? "it ends too early" : `at character ${position}`;
    throw new Problem("malformed_json", `The body is not JSON: ${where}.`, { cause });
  }
  if (isDeeper(json, MAX_DEPTH)) {
    const errors = [{ pointer: "", message: `must not be nested deeper than ${MAX_DEPTH} levels` }];
    throw new Problem("invalid_request", "The body is nested too deeply.", { errors });
  }
  return json;
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
