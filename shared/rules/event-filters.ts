import { COMPARISON, type Condition, type EventFilters } from "../schemas/event-filters.ts";

/** A condition that does not hold; `actual` is missing where the event has no value. */
export interface Mismatch {
  path: string;
  expected: Condition;
  actual?: unknown;
}

type Operators = Extract<Condition, { exists?: unknown }>;
type Bounds = Pick<Operators, "gt" | "gte" | "lt" | "lte" | "prefix">;

/** What an event's data would have to be otherwise for the filters to let it through: nothing when they do. */
export function evaluate(filters: EventFilters, data: unknown): Mismatch[] {
  const mismatches: Mismatch[] = [];
  for (const path of Object.keys(filters)) {
    const expected = filters[path] as Condition;
    const actual = valueAt(data, path);
    if (holds(expected, actual)) continue;
    mismatches.push(actual === undefined ? { path, expected } : { path, expected, actual });
  }
  return mismatches;
}

/** What stands there, own properties of objects only; undefined where there is nothing. */
function valueAt(data: unknown, path: string): unknown {
  let value = data;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || isRaw(value)) return undefined;
    if (!Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function holds(condition: Condition, value: unknown): boolean {
  // What is not there is equal to nothing, as an object is.
  const elements: unknown[] = Array.isArray(value) ? value : [value];
  if (typeof condition !== "object" || condition === null || Array.isArray(condition))
    return elements.some((element) => isAnyOf(condition, element));
  const { not, exists, ...bounds } = condition;
  if (exists !== undefined && exists !== (value !== undefined)) return false;
  if (not !== undefined && elements.some((element) => isAnyOf(not, element))) return false;
  return Object.keys(bounds).length === 0 || elements.some((element) => isWithin(bounds, element));
}

/** Of a list in the event it is one element that is within all bounds: 1 and 9 are not one between 3 and 5. */
function isWithin({ gt, gte, lt, lte, prefix }: Bounds, element: unknown): boolean {
  return (
    (gt === undefined || order(element, gt) > 0) &&
    (gte === undefined || order(element, gte) >= 0) &&
    (lt === undefined || order(element, lt) < 0) &&
    (lte === undefined || order(element, lte) <= 0) &&
    (prefix === undefined || (typeof element === "string" && element.startsWith(prefix)))
  );
}

function isAnyOf(expected: Condition, element: unknown): boolean {
  return Array.isArray(expected) ? expected.some((one) => isEqual(one, element)) : isEqual(expected, element);
}

function isEqual(expected: unknown, element: unknown): boolean {
  const isComparison = typeof expected === "string" && (expected[0] === ">" || expected[0] === "<");
  const [, operator, number] = isComparison ? (COMPARISON.exec(expected) ?? []) : [];
  if (operator === undefined) return expected === element;
  const difference = order(element, Number(number));
  if (operator === ">=") return difference >= 0;
  if (operator === "<=") return difference <= 0;
  return operator === ">" ? difference > 0 : difference < 0;
}

/** Below, at or above zero as the value is below, at or above the bound; NaN, which is none of these, for another type. */
function order(value: unknown, bound: number | string): number {
  if (typeof bound === "string") return typeof value === "string" ? orderOfTexts(value, bound) : Number.NaN;
  if (typeof value === "number") return value - bound;
  return isRaw(value) ? Number(value.rawJSON) - bound : Number.NaN;
}

/** By code points: UTF-16, which JavaScript compares, has an emoji before U+FF5E. */
function orderOfTexts(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++)
    if (left.charCodeAt(at) !== right.charCodeAt(at))
      return (left.codePointAt(at) as number) - (right.codePointAt(at) as number);
  return left.length - right.length;
}

/** In Node since version 21 (ECMAScript: JSON.parse source text access), not yet in TypeScript's library. */
const { isRawJSON } = JSON as unknown as { isRawJSON(value: unknown): boolean };

/** A number with more digits than a double keeps: equal to none that a filter can name, yet above or below it. */
function isRaw(value: unknown): value is { rawJSON: string } {
  return isRawJSON(value);
}
