import { isDeepStrictEqual } from "node:util";
import { pointer } from "./faults.ts";

/** An operation of a JSON patch (RFC 6902): of its operations those that say what differs. */
export interface Difference {
  op: "add" | "remove" | "replace";
  /** A JSON pointer (RFC 6901). */
  path: string;
  /** What is there afterwards; absent with `remove`. */
  value?: unknown;
}

/** From how many characters of paths on they are weighed against the value they lead into. */
const WEIGHED = 64 * 1024;
/** How many times as long as the value itself they may be. */
const MAX_WEIGHT = 4;

/**
 * What makes `to` from `from`, to be applied in order. Of lists what stands before and behind all changes is kept and
 * the rest is compared place by place, so the time follows the size: the shortest patch of two lists takes the product
 * of their lengths, 40 billion steps for what fits into a document. What would take far longer to change than to say is
 * replaced as a whole: under a key of 300,000 characters 40,000 changes would be 12 GB of paths.
 */
export function differences(from: unknown, to: unknown, path = ""): Difference[] {
  const areLists = Array.isArray(from) && Array.isArray(to);
  if (!areLists && !(isObject(from) && isObject(to))) return from === to ? [] : [{ op: "replace", path, value: to }];
  const found = areLists ? ofLists(from, to, path) : ofObjects(from as JsonObject, to as JsonObject, path);
  const weight = found.reduce((sum, one) => sum + one.path.length, 0);
  const isHeavy = weight > WEIGHED && weight > MAX_WEIGHT * JSON.stringify(to).length;
  return isHeavy ? [{ op: "replace", path, value: to }] : found;
}

function ofObjects(from: JsonObject, to: JsonObject, path: string): Difference[] {
  const at = (key: string) => path + pointer([key]);
  const gone = Object.keys(from).filter((key) => !Object.hasOwn(to, key));
  return [
    ...gone.map((key) => ({ op: "remove" as const, path: at(key) })),
    ...Object.entries(to).flatMap(([key, value]) =>
      Object.hasOwn(from, key)
        ? differences(from[key], value, at(key))
        : [{ op: "add" as const, path: at(key), value }],
    ),
  ];
}

function ofLists(from: unknown[], to: unknown[], path: string): Difference[] {
  const shorter = Math.min(from.length, to.length);
  const at = (i: number) => differences(from[i], to[i], `${path}/${i}`);
  // Each pair is gone into once: to ask before whether it differs at all would take the size times the depth.
  let start = 0;
  let first: Difference[] = [];
  for (; start < shorter; start++) {
    first = at(start);
    if (first.length > 0) break;
  }
  let kept = 0;
  if (from.length !== to.length)
    while (kept < shorter - start && isDeepStrictEqual(from.at(-1 - kept), to.at(-1 - kept))) kept++;
  const compared = shorter - kept;
  const found: Difference[] = [];
  for (let i = start; i < compared; i++) for (const one of i === start ? first : at(i)) found.push(one);
  for (let i = from.length - kept - 1; i >= compared; i--) found.push({ op: "remove", path: `${path}/${i}` });
  for (let i = compared; i < to.length - kept; i++) found.push({ op: "add", path: `${path}/${i}`, value: to[i] });
  return found;
}

type JsonObject = Record<string, unknown>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
