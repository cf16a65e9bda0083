import { type Fault, Problem } from "../errors.ts";
import { isOwnType } from "./event-sources.ts";
import { cronFault, type Schedule, timeZoneFault } from "./schedules.ts";

interface Given {
  cron?: string | undefined;
  timeZone?: string | undefined;
  runAt?: string | undefined;
}

/**
 * When a schedule is due, from what is given.
 * @throws Problem invalid_request naming each field that is wrong
 */
export function scheduleOf({ cron, timeZone, runAt }: Given, now: Date): Schedule {
  const faults: Fault[] = [];
  const fault = (field: string, message: string | undefined) => {
    if (message !== undefined) faults.push({ pointer: field && `/${field}`, message });
  };
  if ((cron === undefined) === (runAt === undefined)) fault("", "must have either cron or runAt");
  if (cron !== undefined) {
    fault("cron", cronFault(cron));
    fault("timeZone", timeZoneFault(timeZone ?? "UTC"));
  } else if (timeZone !== undefined) fault("timeZone", "goes with cron: runAt has its offset in itself");
  const at = runAt === undefined ? undefined : new Date(runAt);
  if (at && at <= now) fault("runAt", "must be in the future");
  if (faults.length > 0) throw scheduleRefused(faults as [Fault]);
  return at ? { runAt: at } : { cron: cron as string, timeZone: timeZone ?? "UTC" };
}

/** @throws Problem invalid_request when a schedule cannot publish events of this type */
export function ensurePublishable(eventType: string | undefined): void {
  if (eventType === undefined || !isOwnType(eventType)) return;
  throw scheduleRefused([{ pointer: "/eventType", message: "is what the service itself says" }]);
}

/** The refusal of a schedule for what is wrong with its fields; the first is its detail. */
export function scheduleRefused(faults: [Fault, ...Fault[]]): Problem {
  const [{ pointer, message }] = faults;
  return new Problem("invalid_request", `${pointer} ${message}`.trim(), { errors: faults });
}
