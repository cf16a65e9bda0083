import { createServer, request } from "node:http";
import { duplexPair } from "node:stream";
import { Cron } from "croner";
import type { App } from "../functions/compose.ts";
import { endpoints } from "../functions/index.ts";
import { type Caller, SYSTEM } from "../shared/rules/access.ts";

const SCHEDULER: Caller = { ...SYSTEM, principal: "scheduler" };

/** Calls each scheduled function now and by its own cron expression, as Cloud Scheduler would. */
export function startScheduler(app: App): void {
  const scheduled = endpoints.filter(({ runtime }) => runtime.schedule !== undefined);
  const call = caller(app);
  for (const { name, path, runtime } of scheduled) {
    const run = async () => {
      const status = await call(path).catch(() => undefined);
      if (status !== 200) app.log.warning("scheduled call failed", { job: name });
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

/**
 * Posts to a function within this process; answers the status. Whatever is asked of callers at the port, nobody need
 * have a credential for the scheduler: its connections are pipes to which nothing else has the other end.
 */
function caller(app: App): (path: string) => Promise<number | undefined> {
  const server = createServer(
    app.serve(endpoints, {
      async admit(_req, _role, _directory, introduce) {
        introduce?.(SCHEDULER.principal);
        return SCHEDULER;
      },
    }),
  );
  return (path) =>
    new Promise((resolve, reject) => {
      const [near, far] = duplexPair();
      server.emit("connection", far);
      const asked = request({ path, method: "POST", createConnection: () => near }, (answer) => {
        answer.resume().once("end", () => {
          near.destroy();
          resolve(answer.statusCode);
        });
      });
      asked.once("error", reject).end();
    });
}
