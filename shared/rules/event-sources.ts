import { pathSegment } from "./paths.ts";

/** The source of what somebody publishes without naming one. */
export const ownSource = (principal: string) => `/v1/principals/${pathSegment(principal)}`;

/** Whether a source names CAMS itself or a resource of it: who publishes may be in it only by its own name. */
export function isForeignSource(source: string, principal: string): boolean {
  const isOurs = source === "/cams" || source.startsWith("/cams/") || source.startsWith("/v1/");
  return isOurs && source !== ownSource(principal);
}
