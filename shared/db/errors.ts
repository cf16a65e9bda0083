import { Problem, type ProblemCode } from "../errors.ts";

/** What the violation of a named constraint means to a caller. */
export type ConstraintProblems = Readonly<Record<string, { code: ProblemCode; detail: string; pointer?: string }>>;

/** SQLSTATEs after which the same transaction, run again, can succeed: serialization failure and deadlock. */
const RETRYABLE = new Set(["40001", "40P01"]);
/** Statement or lock wait given up by the server, or by an operator. */
const CANCELLED = new Set(["57014", "55P03"]);
/** Server going down or not up yet, too many connections, not the primary (read only), idle session ended. */
const UNAVAILABLE = new Set(["57P01", "57P02", "57P03", "53300", "25006", "57P05", "25P03"]);

/** Undefined schema, table, column or function: the code is newer than the schema. */
const OUTDATED = new Set(["3F000", "42P01", "42703", "42883"]);

/** The refusal of what needs a newer schema, roles or rights than there are, before the migrations were run. */
export function schemaOutdated(cause?: unknown): Problem {
  const detail = "The database lacks what this code needs until system-migrate is called.";
  return new Problem("schema_outdated", detail, { cause, retryAfterSeconds: 5 });
}

/** They all have a digit; EPIPE, of a socket, has none. */
function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Thrown when connecting was given up; `cause` is how it failed last. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("no connection to the database was had in time", { cause });
  }
}

const POOL_EXHAUSTED = "timeout exceeded when trying to connect";

/** As a pool says that its connections were all in use for as long as one waits for them. */
export function poolExhausted(): Error {
  return new Error(POOL_EXHAUSTED);
}

/** Whether a pool's connections were all in use. */
export function isPoolExhausted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith(POOL_EXHAUSTED);
}

/** Whether an error is of the way to the database, and not what the database answers: it may pass by itself. */
export function isUnreachable(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined ? !isPoolExhausted(error) && !/after calling end/.test(`${error}`) : isOfConnection(state);
}

export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(sqlState(error) ?? "");
}

/** A database error as the problem that the caller may know; whatever is not foreseen is left as it is (a 500). */
export function toProblem(error: unknown, constraints: ConstraintProblems): unknown {
  if (error instanceof Problem || !(error instanceof Error)) return error;
  const state = sqlState(error);
  const constraint = constraints[(error as { constraint?: string }).constraint ?? ""];
  if (state?.startsWith("23") && constraint) {
    const errors = constraint.pointer
      ? { errors: [{ pointer: constraint.pointer, message: constraint.detail }] }
      : undefined;
    return new Problem(constraint.code, constraint.detail, { cause: error, ...errors });
  }
  if (OUTDATED.has(state ?? "") || isRefusedRole(error)) return schemaOutdated(error);
  const options = { cause: error, retryAfterSeconds: 1 };
  if (isPoolExhausted(error)) return new Problem("overloaded", "All database connections are in use.", options);
  if (state && CANCELLED.has(state))
    return new Problem("database_unavailable", "The database did not answer in time.", options);
  if (state && isRetryable(error))
    return new Problem("database_unavailable", "The database was too contended; nothing was changed.", options);
  if (isConnectionError(error, state))
    return new Problem("database_unavailable", "The database cannot be reached just now.", options);
  return error;
}

/**
 * Whether a connection was refused for its role, which does not exist yet or is not granted to the user yet. A statement
 * without its grant has the same SQLSTATE but is a defect of ours; the server's routine is the same in every language.
 */
function isRefusedRole(error: Error): boolean {
  return (error as { routine?: string }).routine === "call_string_check_hook" && /\bcams_/.test(error.message);
}

/** Failures of the connection itself: the driver's and the socket's have no SQLSTATE, the server's are listed. */
function isConnectionError(error: Error, state: string | undefined): boolean {
  if (state) return isOfConnection(state);
  if (error instanceof Unreachable) return true;
  const { code } = error as NodeJS.ErrnoException;
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST|ENET)/.test(code ?? "") ||
    /Connection terminated|not queryable|Query read timeout|Client was closed|after calling end/i.test(error.message)
  );
}

function isOfConnection(state: string): boolean {
  return state.startsWith("08") || UNAVAILABLE.has(state);
}
