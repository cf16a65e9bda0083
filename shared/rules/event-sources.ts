import { pathSegment } from "./paths.ts";

/** Whether a source names CAMS itself or a resource of it: who publishes may be in it only by its own name. */
export function isForeignSource(source: string, principal: string): boolean {
  const isOurs = source === "/cams" || source.startsWith("/cams/") || source.startsWith("/v1/");
  return isOurs && source !== `/v1/principals/${pathSegment(principal)}`;
}
