/** The target without scheme and host, which a proxy may send too (RFC 9112, 3.2.2). */
export function originForm(target: string): string {
  return target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]*/i, "");
}
