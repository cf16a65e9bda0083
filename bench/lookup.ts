import type { Bench, Context } from "./support/bench.ts";
import { fillInboxes, fillMessages } from "./support/rows.ts";
import { measure } from "./support/turns.ts";

/** Look-ups by address over few and over many inboxes: both databases stand side by side and take turns. */
export const lookup: Bench = {
  name: "lookup",
  summary: "GET /v1/agent-inboxes/{address}, any of 10 k and any of 1 M inboxes (quick: 50 k)",
  async run(context) {
    const few = await sizeOf(context, 10_000, "10 k");
    const many = await (context.quick ? sizeOf(context, 50_000, "50 k") : sizeOf(context, 1_000_000, "1 M"));
    const busy = context.quick ? undefined : await sizeOf(context, 10_000, "10 k", true);
    const hello = await context.load("hello", "viaHttp", { url: await context.hello() });
    const cases = [16, 64].flatMap((lanes) => {
      const framework = { name: "framework hello", turn: () => hello.turn(lanes, context.turnMs) };
      const small = few.at(lanes);
      const large = many.at(lanes);
      return [
        { ...small, yardsticks: [...small.yardsticks, framework] },
        { ...large, yardsticks: [...large.yardsticks, framework, small.measured] },
        // Not against the same select: where one is planned badly, the other is too.
        ...(lanes === 64 && busy ? [{ ...busy.at(lanes), yardsticks: [small.measured] }] : []),
      ];
    });
    return measure(cases, context.rounds, context.progress);
  },
};

async function sizeOf(context: Context, inboxes: number, label: string, backlog = false) {
  context.progress(`registering ${label} inboxes`);
  const database = await context.database();
  await fillInboxes(database, inboxes);
  if (backlog) {
    await fillMessages(database, 8, 40_000);
    await database.sql("analyze cams.messages");
  }
  const service = await context.service(database);
  const http = await context.load("lookup", "viaHttp", { url: service.url, inboxes });
  const pg = await context.load("lookup", "viaPg", { url: database.url, inboxes });
  return {
    at: (lanes: number) => ({
      what: `${lanes} connections, ${label} inboxes${backlog ? ", 8 with 5,000 messages" : ""}`,
      unit: "requests/s",
      measured: { name: `${label} inboxes`, turn: () => http.turn(lanes, context.turnMs, service) },
      yardsticks: [{ name: "bare pg", turn: () => pg.turn(lanes, context.turnMs) }],
    }),
  };
}
