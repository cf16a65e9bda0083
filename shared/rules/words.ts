/**
 * A query for `to_tsquery`: every word of the text begins some word of what is searched. Letters and digits alone make
 * words, so nothing in it means anything else.
 */
export function prefixQuery(text: string): string {
  const words = text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.map((word) => `${word}:*`).join(" & ");
}
