import * as z from "zod";

/** What CloudEvents calls a String: Unicode, and no control character. */
export const attribute = (max: number, min = 1) =>
  z
    .string()
    .min(min)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]*$/u, "must be Unicode without control characters");

// RFC 3986, in which brackets stand around a literal address only, and a colon in the first segment ends a scheme.
const pchar = "(?:[\\w.~!$&'()*+,;=:@-]|%[\\dA-Fa-f]{2})";
const scheme = "[A-Za-z][A-Za-z\\d+.-]*:";
const rest = `(?://(?:${pchar}|\\[[\\dA-Fa-f:.]+\\])*(?=[/?#]|$))?(?:${pchar}|/)*(?:\\?(?:${pchar}|[/?])*)?(?:#(?:${pchar}|[/?])*)?`;
/** With a scheme. */
export const URI = new RegExp(`^${scheme}${rest}$`);
const URI_REFERENCE = new RegExp(`^(?:${scheme}|(?![^/?#]*:))${rest}$`);

/** Of an event, a URI reference. */
export const source = attribute(1024)
  .regex(URI_REFERENCE, "must be a URI reference as in RFC 3986")
  .meta({ description: "Where it happened: with the id, what makes an event one and the same.", example: "/orders" });
/** Of an event. */
export const subject = attribute(1024).meta({ description: "What it is about, of all there is at the source." });
