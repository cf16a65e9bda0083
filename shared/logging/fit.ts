import { cap } from "./cap.ts";
import { stackTrace, summary } from "./errors.ts";

// A cycle ends here.
const DEEPEST = 6;

/**
 * A copy that any JSON writer takes, with every string capped: a held line may be written seconds after its fields have
 * changed, and LoggingWinston drops a line with a bigint or a cycle without a word.
 */
export function fit(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return cap(value);
    case "bigint":
    case "symbol":
      return String(value);
    case "function":
      return `[function ${value.name}]`;
    case "object":
      return value === null ? null : fitObject(value, depth);
    default:
      return value;
  }
}

function fitObject(value: object, depth: number): unknown {
  if (value instanceof Error) return { ...summary(value), stack: cap(stackTrace(value)) };
  if (depth === DEEPEST) return "[too deep]";
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => fit(each, depth + 1));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return fit(toJSON.call(value), depth + 1);
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) copy[name] = fit((value as Record<string, unknown>)[name], depth + 1);
  return copy;
}
