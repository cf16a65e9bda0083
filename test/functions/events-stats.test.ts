import { expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const make = makerFor(service);
const calls = callsFor(service);

const HOUR_MS = 60 * 60 * 1000;
const statsOf = async (query = "") => (await service.get(`/v1/events/stats${query}`)).body;

/** Has the message or task of each event wait so many seconds, from when it was made until it was handed out. */
async function waited(table: string, from: string, until: string, seconds: readonly number[]) {
  const rows = await service.sql<{ id: string }>(`select ${table}_id as id from cams.${table}s order by 1`);
  expect(rows).toHaveLength(seconds.length);
  for (const [n, { id }] of rows.entries())
    await service.sql(
      `update cams.${table}s set ${until} = ${from} + $2::float8 * interval '1 second' where ${table}_id = $1`,
      [id, seconds[n]],
    );
}

test("where nothing happened everything is 0, and no time is made up", async () => {
  const { from, to, ...figures } = await statsOf();
  expect(figures).toEqual({
    events: 0,
    unhandled: 0,
    messages: 0,
    tasks: 0,
    byType: [],
    delivery: { count: 0 },
    start: { count: 0 },
  });
  expect(Date.parse(to) - Date.parse(from)).toBe(24 * HOUR_MS);
});

test("events by type, the most frequent first, those nobody got, and what came of the others", async () => {
  const { id: definitionId } = await make.published();
  for (let n = 0; n < 2; n++) await make.subscription({ eventType: "order.*" });
  await make.subscription({ eventType: "order.paid", to: { definitionId } });
  for (const type of ["order.paid", "order.placed", "order.placed", "lost"]) await make.event({ type });
  const told = await statsOf();
  expect(told).toMatchObject({ events: 6, unhandled: 1, messages: 6, tasks: 1 });
  expect(told.byType).toEqual([
    { type: "order.placed", events: 2, unhandled: 0 },
    { type: "definition.activated", events: 1, unhandled: 0 },
    { type: "event.unhandled", events: 1, unhandled: 0 },
    { type: "lost", events: 1, unhandled: 1 },
    { type: "order.paid", events: 1, unhandled: 0 },
  ]);
});

test("times until messages were first handed out, the acknowledged among them, and only what came of events", async () => {
  const { to } = await make.subscription();
  for (let n = 0; n < 4; n++) await make.event();
  const address: string = to.aiAgentAddress;
  const pulled = await make.pull(address, { maxMessages: 4 });
  await waited("message", "accepted_at", "first_leased_at", [1, 2, 3, 40]);
  const [one, two] = pulled;
  expect((await calls.ack(address, one.leaseToken, two.leaseToken)).status).toBe(200);
  await make.event();
  await make.leased({ recipientAddress: (await make.inbox()).aiAgentAddress });
  const { delivery, start } = await statsOf();
  expect(delivery).toEqual({ count: 4, medianSeconds: 2.5, p95Seconds: expect.closeTo(34.45) });
  expect(start).toEqual({ count: 0 });
});

test("times until tasks were first claimed, the ended among them, and only what came of events", async () => {
  const { id: definitionId } = await make.published();
  await make.subscription({ to: { definitionId } });
  for (let n = 0; n < 3; n++) await make.event();
  const { id } = await make.running({ definition: { id: definitionId } });
  const claimed = await make.claim(id, { maxTasks: 3 });
  await waited("task", "submitted_at", "leased_at", [1, 2, 30]);
  await make.event();
  await make.claimed();
  expect((await statsOf()).start).toMatchObject({ count: 3, medianSeconds: 2 });
  const { taskId, leaseToken } = claimed[0];
  expect((await service.post(`/v1/tasks/${taskId}/complete`, { leaseToken })).status).toBe(200);
  expect((await statsOf()).start.count).toBe(3);
});

test("`from` leaves out what was before", async () => {
  await make.subscription();
  await make.event({ type: "order.old" });
  await service.sql("update cams.events set published_at = published_at - interval '2 hours'");
  await make.event({ type: "order.new" });
  const since = (ms: number) => statsOf(`?from=${new Date(Date.now() - ms).toISOString()}`);
  expect(await since(HOUR_MS)).toMatchObject({ events: 1, byType: [{ type: "order.new" }] });
  expect((await since(3 * HOUR_MS)).events).toBe(2);
  expect(await since(-HOUR_MS)).toMatchObject({ events: 0, byType: [] });
  expect((await service.get("/v1/events/stats?from=yesterday")).status).toBe(400);
});
