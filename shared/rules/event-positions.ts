/**
 * A place in the log of events: behind the events of all earlier transactions, and of this one behind those up to `seq`.
 * `at`, in milliseconds since 1970, is about when that was: no event behind the place is much older.
 */
export interface Position {
  at: number;
  /** The writing transaction, PostgreSQL's xid8: up to 20 digits. */
  transaction: string;
  seq: number;
}

const MAX_TRANSACTION = 2n ** 64n;

/** Below 0 when `a` is before `b` in the log, 0 when they are the same place. */
export function comparePositions(a: Position, b: Position): number {
  // As numbers: without leading zeros the longer one is the greater.
  const [left, right] = [a.transaction, b.transaction];
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : a.seq - b.seq);
}

/** The later of two places; `b` where they are the same. */
export function laterPosition(a: Position, b: Position): Position {
  return comparePositions(a, b) <= 0 ? b : a;
}

/** Writes a place as an event's id in a stream: `<at>-<transaction>-<seq>`. */
export function writePosition({ at, transaction, seq }: Position): string {
  return `${Math.floor(at)}-${transaction}-${seq}`;
}

/** Reads what `writePosition` wrote; undefined when it is nothing that this could have written. */
export function readPosition(text: string): Position | undefined {
  const [, at, transaction = "", seq] = /^(\d{1,15})-(0|[1-9]\d{0,19})-(\d{1,15})$/.exec(text) ?? [];
  if (at === undefined || BigInt(transaction) >= MAX_TRANSACTION) return undefined;
  return { at: Number(at), transaction, seq: Number(seq) };
}
