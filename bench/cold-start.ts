import type { Bench, Context } from "./support/bench.ts";
import { startFunction } from "./support/function.ts";
import { addressOf, fillInboxes } from "./support/rows.ts";
import { type Contender, measure } from "./support/turns.ts";

/** What is asked of each function, first thing. */
const ASKED = [
  { target: "system-live", method: "GET", path: "/health/live" },
  { target: "inboxes-get", method: "GET", path: `/v1/agent-inboxes/${addressOf(1)}` },
  { target: "messages-pull", method: "POST", path: `/v1/agent-inboxes/${addressOf(1)}/messages/pull` },
];

/** From starting a process to its first answer, function by function. */
export const coldStart: Bench = {
  name: "cold-start",
  summary: "process start to first answer under the framework's command line, unbundled: TypeScript stripped at start",
  async run(context) {
    const database = await context.database();
    await fillInboxes(database, 10);
    const hello = starting(context, "framework hello", "bench/support/hello-function.ts", {
      target: "hello",
      method: "GET",
      path: "/",
    });
    const asked = context.quick ? ASKED.slice(1, 2) : ASKED;
    const cases = asked.map((ask) => ({
      what: ask.target,
      unit: "ms",
      measured: starting(context, ask.target, "functions/main.ts", ask, database.url),
      yardsticks: [hello],
    }));
    const own = { what: "framework hello", unit: "ms", measured: hello, yardsticks: [] };
    return measure([...cases, own], context.quick ? 3 : 7, context.progress);
  },
};

function starting(
  context: Context,
  name: string,
  source: string,
  asked: (typeof ASKED)[number],
  databaseUrl?: string,
): Contender {
  return {
    name,
    async turn() {
      const { milliseconds, peakBytes } = await startFunction(context, { source, ...asked, databaseUrl });
      return { value: milliseconds, ...(peakBytes && { extra: { "peak RSS MB": peakBytes / 2 ** 20 } }) };
    },
  };
}
