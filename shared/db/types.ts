import pg from "pg";
import { parseExactly } from "../json.ts";

const TIMESTAMPTZ = 1184;
const INT8 = 20;
const JSON_TEXT = 114;

/** `2026-11-21 10:00:00.12+00`, as PostgreSQL writes it in UTC, to `2026-11-21T10:00:00.120Z`. */
export function toTimestamp(text: string): string {
  const milliseconds = text[19] === "." ? text.slice(20, -3).padEnd(3, "0").slice(0, 3) : "000";
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${milliseconds}Z`;
}

/** Column types to the API's words: times as RFC 3339 text, 64-bit integers (counts) as numbers, JSON as it was. */
export const types = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (oid === TIMESTAMPTZ) return toTimestamp;
    if (oid === INT8) return Number;
    if (oid === JSON_TEXT) return parseExactly;
    return pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;
