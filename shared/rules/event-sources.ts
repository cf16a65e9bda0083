import { pathSegment } from "./paths.ts";

/** The source of what somebody publishes without naming one. */
export const ownSource = (principal: string) => `/v1/principals/${pathSegment(principal)}`;

/** Types of what happens in CAMS itself. */
const OWN_TYPE =
  /^(agent\.(registered|started|paused|resumed|draining|stopped|failed|task\.(started|completed|failed|timed_out|cancelled|rejected))|definition\.(activated|retired)|budget\.reached|event\.unhandled)$/;

/** Whether only CAMS itself says that this happened: whoever hears of it need not ask who said so. */
export function isOwnType(type: string): boolean {
  return OWN_TYPE.test(type);
}

/** Whether a source names CAMS itself or a resource of it: who publishes may be in it only by its own name. */
export function isForeignSource(source: string, principal: string): boolean {
  return /^\/(cams|v1)(\/|$)/.test(pathOf(source)) && source !== ownSource(principal);
}

/** The path that a reader would come to, however it is written: `/x/../%63ams` is `/cams`; empty elsewhere than here. */
function pathOf(source: string): string {
  try {
    const { host, pathname } = new URL(source, "http://cams.invalid");
    return host === "cams.invalid" ? decodeURIComponent(pathname) : "";
  } catch {
    return "";
  }
}
