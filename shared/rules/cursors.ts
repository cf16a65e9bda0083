import type * as z from "zod";
import { Problem } from "../errors.ts";

/** Writes the key of a page's last row as an opaque `pageToken`. */
export function writeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** Text that PostgreSQL takes for no value: with a NUL in it, or a time in a year 0. */
function isUnreadable(part: unknown): boolean {
  return typeof part === "string" && (part.includes("\0") || /^0000-\d\d-\d\dT/.test(part));
}

/**
 * Reads a `pageToken` back into the key it was made from.
 * @throws Problem invalid_request when it is not one of this list's tokens
 */
export function readCursor<T extends z.ZodType>(shape: T, token: string | undefined): z.output<T> | undefined {
  if (token === undefined) return undefined;
  try {
    const key = shape.parse(JSON.parse(Buffer.from(token, "base64url").toString()));
    if ([key].flat().some(isUnreadable)) throw new Error("no such key");
    return key;
  } catch (cause) {
    const errors = [{ pointer: "/pageToken", message: "is not a token of this list" }];
    throw new Problem("invalid_request", "The page token cannot be read.", { errors, cause });
  }
}

/** Cuts one row more than asked for into a page: the surplus row only says that there is more. */
export function toPage<T>(
  rows: T[],
  pageSize: number,
  key: (row: T) => readonly (string | number)[],
): { items: T[]; nextPageToken?: string } {
  const items = rows.slice(0, pageSize);
  const last = items.at(-1);
  return rows.length > pageSize && last ? { items, nextPageToken: writeCursor(key(last)) } : { items };
}
