import { cap } from "./cap.ts";

// An error may be its own cause; real chains end after three or four.
const DEEPEST = 5;

/** An error without its stack: name, message, code (SQLSTATE, `ECONNREFUSED`) and cause. */
export function summary(error: Error, depth = 1): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  // Never its other properties: `detail` and `where` of a database error quote the row that was refused.
  return {
    name: cap(String(error.name)),
    message: cap(String(error.message)),
    ...((typeof code === "string" || typeof code === "number") && { code }),
    ...(error.cause instanceof Error && depth < DEEPEST && { cause: summary(error.cause, depth + 1) }),
  };
}

/** An error's stack, followed by those of its causes and, of an AggregateError, of each of its errors. */
export function stackTrace(error: Error, depth = 1): string {
  const own = typeof error.stack === "string" ? error.stack : `${error.name}: ${error.message}`;
  if (depth === DEEPEST) return own;
  // A refused connection to a name with two addresses is an AggregateError with no message of its own.
  const inner = error instanceof AggregateError ? error.errors.slice(0, DEEPEST) : [];
  return [
    own,
    ...inner.map((each) => `Among: ${textOf(each, depth)}`),
    ...(error.cause === undefined ? [] : [`Caused by: ${textOf(error.cause, depth)}`]),
  ].join("\n");
}

function textOf(thrown: unknown, depth: number): string {
  return thrown instanceof Error ? stackTrace(thrown, depth + 1) : String(thrown);
}
