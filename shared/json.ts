/** May have a number with more digits than a double: one of 16 characters or with an exponent, or text like one. */
const LONG_NUMBER = /(?:^|[[:,\s])-?(?:[\d.]{16}|[\d.]+[eE])/;

/** In Node since version 21 (ECMAScript: JSON.parse source text access), not yet in TypeScript's library. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * Reads JSON and loses nothing: a number that a double cannot keep (a 64-bit id, a decimal of 20 digits) becomes a raw
 * one, which `JSON.stringify` writes as it came.
 * @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && digitsOf(String(value)) !== digitsOf(context?.source ?? "")
      ? rawJSON(context?.source ?? "")
      : value,
  );
}

/** The significant digits of a number, which say all but its size; none of zero, and "Infinity" of what is too big. */
function digitsOf(number: string): string {
  const digits = number.replace(/[eE].*/, "").replace(/^[-0.]+|\./g, "");
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return digits.slice(0, end);
}
