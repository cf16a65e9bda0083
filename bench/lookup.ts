import type { Bench, Context, Row } from "./support/bench.ts";
import { fillInboxes } from "./support/rows.ts";
import { rowOf, takeTurns } from "./support/turns.ts";

/** Look-ups by address, over few and many inboxes: both tables stand side by side and take turns. */
export const lookup: Bench = {
  name: "lookup",
  summary: "GET /v1/agent-inboxes/{address}, any of 10 k and of 1 M inboxes (quick: 50 k)",
  async run(context) {
    const few = await sizeOf(context, 10_000, "10 k");
    const many = await (context.quick ? sizeOf(context, 50_000, "50 k") : sizeOf(context, 1_000_000, "1 M"));
    const hello = await context.load("hello", "viaHttp", { url: await context.hello() });
    const rows: Row[] = [];
    for (const lanes of [16, 64]) {
      context.progress(`${lanes} connections`);
      const contenders = [few, many].flatMap(({ label, http, pg, service }) => [
        { name: label, turn: () => http.turn(lanes, context.turnMs, service) },
        { name: `pg ${label}`, turn: () => pg.turn(lanes, context.turnMs) },
      ]);
      contenders.push({ name: "framework hello", turn: () => hello.turn(lanes, context.turnMs) });
      const turns = await takeTurns(contenders, context.rounds);
      const row = (label: string, yardsticks: string[]) =>
        rowOf(`${lanes} connections, ${label} inboxes`, "requests/s", turns, label, yardsticks);
      rows.push(row(few.label, [`pg ${few.label}`, "framework hello"]));
      rows.push(row(many.label, [`pg ${many.label}`, "framework hello", few.label]));
    }
    return rows;
  },
};

async function sizeOf(context: Context, inboxes: number, label: string) {
  context.progress(`registering ${label} inboxes`);
  const database = await context.database();
  await fillInboxes(database, inboxes);
  const service = await context.service(database);
  const http = await context.load("lookup", "viaHttp", { url: service.url, inboxes });
  const pg = await context.load("lookup", "viaPg", { url: database.url, inboxes });
  return { label, service, http, pg };
}
