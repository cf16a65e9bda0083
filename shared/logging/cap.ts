// Cloud Logging refuses a line over 256 KiB; 8 KiB is half of all the headers Node accepts.
const LONGEST = 8192;
const room = new Uint8Array(LONGEST);
const encoder = new TextEncoder();

/** A string cut to 8 KiB of UTF-8, never inside a character. */
export function cap(text: string): string {
  // No UTF-16 unit takes more than three bytes, so most strings are known to fit by their length.
  if (text.length * 3 <= LONGEST) return text;
  const { read } = encoder.encodeInto(text, room);
  return read === text.length ? text : `${text.slice(0, read)}…`;
}
