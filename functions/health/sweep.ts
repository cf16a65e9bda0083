import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { brakeHolds } from "../../shared/rules/health.ts";
import { SweepQuery, Swept } from "../../shared/schemas/health.ts";

/** Rows a statement of the sweep takes at most: its locks are short, and overlapping sweeps share the work. */
const SLICE = 1000;
/** No new slice after this: the next minute's sweep goes on. */
const BUDGET_MS = 40_000;
/** A message that waits longer is told in the log, from which an alert is made. */
const LONG_WAIT_SECONDS = 86_400;

export const healthSweep = defineEndpoint({
  name: "health-sweep",
  method: "POST",
  path: "/v1/agent-health-sweep",
  summary: "Mark silent inboxes and agents, and archive messages and tasks that have ended",
  description:
    "Safe to fire twice or to overlap. The brake: when more than half of 20 or more watched inboxes would go offline at " +
    "once, no health changes and the answer says `frozen`; `force=true` overrides it.",
  role: "system",
  query: SweepQuery,
  status: 200,
  returns: Swept,
  errors: [],
  runtime: { timeoutSeconds: 90, concurrency: 1, schedule: "* * * * *" },
  handler: async ({ query, repo, services, signal }) => {
    const end = performance.now() + BUDGET_MS;
    const mayGoOn = () => performance.now() < end && !signal.aborted;
    const swept = { suspected: 0, offline: 0, expired: 0, deadLettered: 0, locksReleased: 0, tasksReturned: 0 };
    const tasks = { tasksTimedOut: 0, tasksFailed: 0, agentsDrained: 0 };

    const { goingOffline, watched } = await repo.sweep.outlook();
    const frozen = !query.force && brakeHolds(goingOffline, watched);
    if (frozen)
      services.log.alert("sweep frozen: too many inboxes would go offline at once", { goingOffline, watched });
    else {
      for (let seen = SLICE; seen === SLICE && mayGoOn(); ) {
        const marked = await repo.sweep.markStale(SLICE);
        swept.suspected += marked.suspected;
        swept.offline += marked.offline;
        swept.tasksReturned += marked.tasksReturned;
        seen = marked.seen;
      }
    }
    for (let more = true; more && mayGoOn(); ) {
      const archived = await repo.messages.archiveEnded(SLICE);
      swept.expired += archived.expired;
      swept.deadLettered += archived.deadLettered;
      more = archived.more;
    }
    for (let ended = SLICE; ended === SLICE && mayGoOn(); ) {
      const { timedOut, failed } = await repo.tasks.archiveEnded(SLICE);
      tasks.tasksTimedOut += timedOut;
      tasks.tasksFailed += failed;
      ended = timedOut + failed;
    }
    // What whoever ended the last task of an agent, or spent the last of a budget, was killed before it did.
    tasks.agentsDrained = await repo.agents.endDrains(SLICE);
    for (const notice of await repo.budgets.notice()) services.log.warning("a budget is being used up", notice);
    services.metrics.task("TIMED_OUT", tasks.tasksTimedOut);
    services.metrics.task("FAILED", tasks.tasksFailed);
    services.metrics.message("EXPIRED", swept.expired);
    services.metrics.message("DEAD_LETTERED", swept.deadLettered);
    const oldestAgeSeconds = await repo.messages.oldestAgeSeconds();
    if (oldestAgeSeconds > LONG_WAIT_SECONDS)
      services.log.warning("a message has waited for more than a day", { oldestAgeSeconds });
    return { ...swept, ...tasks, frozen };
  },
});
