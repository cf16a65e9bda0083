import { Cron } from "croner";
import type { App } from "../functions/compose.ts";
import { endpoints } from "../functions/index.ts";
import { type Caller, SYSTEM } from "../shared/rules/access.ts";
import { callerWithin } from "./in-process.ts";

const SCHEDULER: Caller = { ...SYSTEM, principal: "scheduler" };

/** Calls each scheduled function now and by its own cron expression, as Cloud Scheduler would. */
export function startScheduler(app: App): void {
  const scheduled = endpoints.filter(({ runtime }) => runtime.schedule !== undefined);
  const call = callerWithin(app, SCHEDULER);
  for (const { name, path, runtime } of scheduled) {
    const run = async () => {
      const answer = await call(path).catch(() => undefined);
      if (answer?.status !== 200) app.log.warning("scheduled call failed", { job: name });
    };
    // Never beside itself: what comes due meanwhile starts when the call before it has ended.
    let last = run();
    let waiting = false;
    new Cron(runtime.schedule as string, { timezone: "UTC", unref: true }, async () => {
      if (waiting) return;
      waiting = true;
      await last;
      waiting = false;
      last = run();
    });
  }
}
