import { isDeepStrictEqual } from "node:util";

/** An operation of a JSON patch (RFC 6902): of its operations those that say what differs. */
export interface Difference {
  op: "add" | "remove" | "replace";
  /** A JSON pointer (RFC 6901). */
  path: string;
  /** What is there afterwards; absent with `remove`. */
  value?: unknown;
}

/**
 * What makes `to` from `from`, to be applied in order. Of lists what stands before and behind all changes is kept and
 * the rest is compared place by place, so the time follows the size: the shortest patch of two lists takes the product
 * of their lengths, 40 billion steps for what fits into a document.
 */
export function differences(from: unknown, to: unknown, path = ""): Difference[] {
  if (isDeepStrictEqual(from, to)) return [];
  if (Array.isArray(from) && Array.isArray(to)) return ofLists(from, to, path);
  if (isObject(from) && isObject(to)) return ofObjects(from, to, path);
  return [{ op: "replace", path, value: to }];
}

function ofObjects(from: Record<string, unknown>, to: Record<string, unknown>, path: string): Difference[] {
  const at = (key: string) => `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
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
  let start = 0;
  while (start < shorter && isDeepStrictEqual(from[start], to[start])) start++;
  let kept = 0;
  while (kept < shorter - start && isDeepStrictEqual(from.at(-1 - kept), to.at(-1 - kept))) kept++;
  const compared = shorter - kept;
  const found: Difference[] = [];
  for (let i = start; i < compared; i++) for (const one of differences(from[i], to[i], `${path}/${i}`)) found.push(one);
  for (let i = from.length - kept - 1; i >= compared; i--) found.push({ op: "remove", path: `${path}/${i}` });
  for (let i = compared; i < to.length - kept; i++) found.push({ op: "add", path: `${path}/${i}`, value: to[i] });
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
