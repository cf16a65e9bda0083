/** The longest a destination is left alone because it asks to: a day. */
const MAX_SECONDS = 86_400;

/** IMF-fixdate and the two older forms (RFC 9110, 5.6.7); the last of them names no zone and is UTC too. */
const HTTP_DATE = /^[A-Z][a-z]+,? .*\d\d:\d\d:\d\d( GMT| \d{4})$/;

/**
 * Whole seconds that a `Retry-After` header asks to wait, 0 to 86,400: of seconds or of a date, 0 when it has passed;
 * undefined when there is none or it is neither.
 */
export function retryAfterSeconds(header: string | null | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text), MAX_SECONDS);
  if (!HTTP_DATE.test(text)) return undefined;
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(Math.ceil((at - now.getTime()) / 1000), 0), MAX_SECONDS);
}
