import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Ticked } from "../../shared/schemas/schedule.ts";

/** No further schedule after this: the next minute's tick goes on. */
const BUDGET_MS = 40_000;

export const schedulesTick = defineEndpoint({
  name: "schedules-tick",
  method: "POST",
  path: "/v1/schedules/tick",
  summary: "Fire the schedules that are due",
  description: "Safe to fire twice or to overlap: each time of a schedule is fired once.",
  role: "system",
  status: 200,
  returns: Ticked,
  errors: [],
  runtime: { timeoutSeconds: 90, concurrency: 1, schedule: "* * * * *" },
  handler: async ({ repo, services, signal }) => {
    const end = performance.now() + BUDGET_MS;
    const ticked = { schedules: 0, fired: 0, skipped: 0, failed: 0, eventsRouted: 0 };
    const failed: string[] = [];
    while (performance.now() < end && !signal.aborted) {
      const done = await repo.schedules.fireNext(failed, (scheduleId, error) => {
        failed.push(scheduleId);
        services.log.error("a schedule could not be fired", { scheduleId, error });
      });
      if (!done) break;
      ticked.schedules += 1;
      ticked.fired += done.fired;
      ticked.skipped += done.skipped;
    }
    return { ...ticked, failed: failed.length };
  },
});
