import type { Bench, Context } from "./support/bench.ts";
import { addressOf, fillMessages, growOld } from "./support/rows.ts";
import { type Case, type Contender, measure } from "./support/turns.ts";

const INBOXES = 20;
/** What the dispatcher has on its way to one host at most; the yardstick posts as many at once. */
const AT_ONCE = 16;

/** From a full table to receivers that answer at once: webhooks, and a Pub/Sub. */
export const deliver: Bench = {
  name: "deliver",
  summary:
    "20 inboxes at 20 receivers of one process; old: 1 M archived messages (quick: 20 k) and a transaction open since the start",
  async run(context) {
    const young = await ageOf(context, "HTTP_ENDPOINT", 0);
    const old = await ageOf(context, "HTTP_ENDPOINT", context.quick ? 20_000 : 1_000_000);
    const topics = await ageOf(context, "GCP_PUBSUB_TOPIC", 0);
    const cases: Case[] = [
      { what: "to webhooks", unit: "messages/s", measured: young.delivered, yardsticks: [young.bare] },
      {
        what: "to webhooks, old",
        unit: "messages/s",
        measured: old.delivered,
        yardsticks: [old.bare, young.delivered],
      },
      { what: "to Pub/Sub topics", unit: "messages/s", measured: topics.delivered, yardsticks: [topics.bare] },
    ];
    return measure(cases, context.rounds, context.progress);
  },
};

async function ageOf(context: Context, inboxDestinationType: string, archived: number) {
  context.progress(`filling ${archived}`);
  const database = await context.database();
  const receivers = await context.receivers(INBOXES);
  const receiver = receivers[0] as string;
  const service = await context.service(database, { DELIVER_SECONDS: "0", PUBSUB_EMULATOR_HOST: receiver });
  for (let n = 1; n <= INBOXES; n++) {
    const url = `http://${receivers[n - 1]}/inbox`;
    const inboxName = inboxDestinationType === "HTTP_ENDPOINT" ? url : `projects/bench/topics/t-${n}`;
    const body = JSON.stringify({ aiAgentAddress: addressOf(n), inboxDestinationType, inboxName });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${service.url}/v1/agent-inboxes`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  }
  if (archived > 0) await growOld(context, database, INBOXES, archived);
  const stock = context.quick ? 200 : inboxDestinationType === "HTTP_ENDPOINT" ? 4_000 : 20_000;
  const fill = async () => {
    await fillMessages(database, INBOXES, stock);
    await database.sql("analyze cams.messages");
  };
  const load = { url: database.url, receiver: `http://${receiver}/inbox`, inboxes: INBOXES, batch: AT_ONCE };
  const pg = await context.load("deliver", "viaPg", load);

  const delivered: Contender = {
    name: archived > 0 ? "old" : "young",
    async turn() {
      await fill();
      const start = performance.now();
      const cpuBefore = service.cpuSeconds();
      const answer = await fetch(`${service.url}/v1/messages/deliver`, { method: "POST" });
      const counts = (await answer.json()) as { delivered: number };
      const cpu = (service.cpuSeconds() ?? Number.NaN) - (cpuBefore ?? Number.NaN);
      const value = (counts.delivered * 1000) / (performance.now() - start);
      return { value, extra: { "service CPU µs/message": (cpu / counts.delivered) * 1e6 } };
    },
  };
  const bare: Contender = {
    name: "bare claim + post",
    async turn() {
      await fill();
      return pg.turn(INBOXES, context.turnMs);
    },
  };
  return { delivered, bare };
}
