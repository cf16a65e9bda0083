/** A value as one segment of a path; `@` and `:` stay readable, as RFC 3986 allows. */
export function pathSegment(value: string): string {
  return encodeURIComponent(value).replaceAll("%40", "@").replaceAll("%3A", ":");
}
