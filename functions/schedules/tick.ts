import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Ticked } from "../../shared/schemas/schedule.ts";

/** Events of CAMS itself that one transaction brings to their subscribers: of a process that was killed before it did. */
const ROUTED_AT_ONCE = 100;
/** No further schedule after this: the next minute's tick goes on. */
const BUDGET_MS = 40_000;

export const schedulesTick = defineEndpoint({
  name: "schedules-tick",
  method: "POST",
  path: "/v1/schedules/tick",
  summary: "Fire the schedules that are due, and route what happened in CAMS itself",
  description: "Safe to fire twice or to overlap: each time of a schedule is fired once.",
  role: "system",
  status: 200,
  returns: Ticked,
  errors: [],
  runtime: { timeoutSeconds: 90, concurrency: 1, schedule: "* * * * *" },
  handler: async ({ repo, services, signal }) => {
    const end = performance.now() + BUDGET_MS;
    const half = end - BUDGET_MS / 2;
    const ticked = { fired: 0, skipped: 0, failed: 0, eventsRouted: 0 };
    const failed: string[] = [];
    for (let routed = ROUTED_AT_ONCE; routed === ROUTED_AT_ONCE && performance.now() < half && !signal.aborted; ) {
      routed = await repo.events.route(ROUTED_AT_ONCE);
      ticked.eventsRouted += routed;
    }
    const schedules = new Set<string>();
    while (performance.now() < end && !signal.aborted) {
      const done = await repo.schedules.fireNext(failed, (scheduleId, error) => {
        failed.push(scheduleId);
        services.log.error("a schedule could not be fired", { scheduleId, error });
      });
      if (!done) break;
      schedules.add(done.scheduleId);
      ticked.fired += done.fired;
      ticked.skipped += done.skipped;
    }
    return { ...ticked, schedules: schedules.size, failed: failed.length };
  },
});
