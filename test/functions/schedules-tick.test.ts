import { describe, expect, test, vi } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { whileHeld } from "./calls.ts";

const service = useService();
const make = makerFor(service);
const MINUTE = 60_000;

const tick = async () => (await service.post("/v1/schedules/tick")).body;
const schedule = async (fields: object) =>
  (await service.post("/v1/schedules", { name: "s", eventType: "schedule.test", cron: "* * * * *", ...fields })).body;
const get = async (id: string) => (await service.get(`/v1/schedules/${id}`)).body;
const published = async () =>
  (await service.get("/v1/events?type=schedule.test&pageSize=1000")).body.items.map(
    ({ event }: { event: { time: string } }) => event.time,
  );
/** The records of a schedule, oldest first. */
async function runsOf(
  id: string,
): Promise<{ scheduledFor: string; outcome: string; late: boolean; eventId?: string }[]> {
  const runs = [];
  for (let pageToken: string | undefined = ""; pageToken !== undefined; ) {
    const query = pageToken && `&pageToken=${pageToken}`;
    const { body } = await service.get(`/v1/schedules/${id}/runs?pageSize=1000${query}`);
    runs.push(...body.items);
    pageToken = body.nextPageToken;
  }
  return runs.toReversed();
}
/** As if nobody had looked since: the schedule is due at a whole minute so many minutes ago; answers that. */
async function since(id: string, minutes: number): Promise<number> {
  const [row] = await service.sql<{ at: Date }>(
    `update cams.schedules set next_run_at = at, run_at = case when run_at is not null then at end
     from (select date_trunc('minute', now()) - make_interval(mins => $2) as at) times
     where schedule_id = $1 returning next_run_at as at`,
    [id, minutes],
  );
  return (row as { at: Date }).at.getTime();
}

describe.each(["skip", "once", "all"] as const)("after an outage, with misfire %s,", (misfire) => {
  test.each([1, 5, 60, 24 * 60, 7 * 24 * 60])(
    "of %i minutes: the runs and records that the policy says",
    async (minutes) => {
      const { scheduleId } = await schedule({ misfire });
      const first = await since(scheduleId, minutes);
      const before = Date.now();
      const { fired, skipped } = await tick();
      const runs = await runsOf(scheduleId);
      expect(runs.length).toBe(fired + skipped);
      expect(runs.map(({ scheduledFor }) => Date.parse(scheduledFor))).toEqual(
        Array.from(runs, (_, n) => first + n * MINUTE),
      );
      expect(before - (first + (runs.length - 1) * MINUTE)).toBeLessThan(MINUTE);

      const late = runs.filter((run) => run.late);
      for (const { scheduledFor, late } of runs)
        expect(Math.abs(before - Date.parse(scheduledFor) - 2 * MINUTE) < 5_000 || late).toBe(
          before - Date.parse(scheduledFor) > 2 * MINUTE ||
            Math.abs(before - Date.parse(scheduledFor) - 2 * MINUTE) < 5_000,
        );
      const expected = { skip: 0, once: 0, all: Math.min(100, late.length) }[misfire];
      expect(late.filter(({ outcome }) => outcome === "FIRED")).toHaveLength(expected);
      expect(late.slice(0, late.length - expected).every(({ outcome }) => outcome === "SKIPPED")).toBe(true);
      expect(runs.slice(late.length).every(({ outcome }) => outcome === "FIRED")).toBe(true);
      const times = runs.filter(({ outcome }) => outcome === "FIRED").map(({ scheduledFor }) => scheduledFor);
      expect((await published()).toSorted()).toEqual(times);
      expect(Date.parse((await get(scheduleId)).nextRunAt)).toBe(first + runs.length * MINUTE);
      expect(await tick()).toMatchObject({ schedules: 0 });
    },
  );
});

test("with misfire once a rare time that was missed is made up for by one run, as late", async () => {
  const { scheduleId } = await schedule({ cron: "0 0 1 1 *", misfire: "once" });
  await since(scheduleId, 90);
  expect(await tick()).toMatchObject({ fired: 1, skipped: 0 });
  expect(await runsOf(scheduleId)).toMatchObject([
    { outcome: "FIRED", late: true, eventId: expect.any(String), actor: "cams" },
  ]);
  expect(Date.parse((await get(scheduleId)).lastRunAt)).toBeGreaterThan(Date.now() - MINUTE);
});

test("what is only skipped has not run", async () => {
  const { scheduleId } = await schedule({ cron: "0 0 1 1 *", misfire: "skip" });
  await since(scheduleId, 90);
  expect(await tick()).toMatchObject({ fired: 0, skipped: 1 });
  expect(await get(scheduleId)).not.toHaveProperty("lastRunAt");
});

test("what has been due the longest is fired first", async () => {
  const times = [];
  for (const minutes of [50, 90, 10]) {
    const { scheduleId } = await schedule({ cron: "0 0 1 1 *" });
    times.push(new Date(await since(scheduleId, minutes)).toISOString());
  }
  await tick();
  expect(await published()).toEqual(times.toSorted().toReversed());
});

test("a run by hand takes the place of no time", async () => {
  const { scheduleId } = await schedule({ cron: "0 0 1 1 *" });
  await since(scheduleId, 0);
  await service.post(`/v1/schedules/${scheduleId}/run`);
  await service.sql(
    "update cams.schedule_runs r set scheduled_for = s.next_run_at from cams.schedules s where r.schedule_id = s.schedule_id",
  );
  expect(await tick()).toMatchObject({ fired: 1 });
});

test("10 ticks at once fire each of 20 schedules once", async () => {
  const made = await Promise.all(Array.from({ length: 20 }, () => schedule({})));
  for (const { scheduleId } of made) await since(scheduleId, 0);
  const ticks = await Promise.all(Array.from({ length: 10 }, tick));
  const sum = (name: "schedules" | "fired") => ticks.reduce((total, one) => total + one[name], 0);
  expect([sum("schedules"), sum("fired")]).toEqual([20, 20]);
  expect(await published()).toHaveLength(20);
  for (const { scheduleId } of made) expect(await runsOf(scheduleId)).toHaveLength(1);
});

test("one that another session has in hand keeps no other back", async () => {
  const [held, free] = [await schedule({}), await schedule({})];
  for (const { scheduleId } of [held, free]) await since(scheduleId, 1);
  const lock = "select from cams.schedules where schedule_id = $1 for update";
  await whileHeld(service, lock, [held.scheduleId], async () => {
    expect(await tick()).toMatchObject({ schedules: 1, failed: 0 });
  });
  expect(await runsOf(held.scheduleId)).toEqual([]);
  expect((await tick()).schedules).toBe(1);
});

test("what is to be once is, and never again", async () => {
  const { scheduleId } = await schedule({ cron: undefined, runAt: new Date(Date.now() + 60_000).toISOString() });
  expect(await tick()).toMatchObject({ schedules: 0 });
  await since(scheduleId, 0);
  expect(await tick()).toMatchObject({ fired: 1 });
  expect(await get(scheduleId)).not.toHaveProperty("nextRunAt");
  expect(await tick()).toMatchObject({ schedules: 0 });
});

test("one that cannot be fired stays due and is told; the others are fired", async () => {
  const errors = vi.spyOn(service.app.log, "error").mockImplementation(() => {});
  const [broken, sound] = [await schedule({}), await schedule({})];
  for (const { scheduleId } of [broken, sound]) await since(scheduleId, 0);
  await service.sql(
    "update cams.schedules set next_run_at = next_run_at - interval '1 h', cron = 'nonsense' where schedule_id = $1",
    [broken.scheduleId],
  );
  expect(await tick()).toMatchObject({ schedules: 2, fired: 1, failed: 1 });
  expect(errors.mock.calls[0]?.[1]).toMatchObject({ scheduleId: broken.scheduleId });
  expect(await runsOf(broken.scheduleId)).toEqual([]);
  expect(await runsOf(sound.scheduleId)).toHaveLength(1);
  errors.mockRestore();
});

test("a time that was fired, and that the schedule comes to again, is passed over", async () => {
  const { scheduleId } = await schedule({ misfire: "all" });
  const fired = await since(scheduleId, 3);
  await tick();
  const before = await runsOf(scheduleId);
  // As if a change had begun before that time, and the database's clock had been behind.
  await service.put(`/v1/schedules/${scheduleId}`, { payload: { changed: true } });
  await service.sql("update cams.schedules set next_run_at = $1", [new Date(fired)]);
  expect(await tick()).toMatchObject({ schedules: 1, failed: 0 });
  expect((await runsOf(scheduleId)).slice(0, before.length)).toEqual(before);
  expect(Date.parse((await get(scheduleId)).nextRunAt)).toBeGreaterThan(Date.now() - MINUTE);
});

test("large events are published a few in each transaction: a tick that ends in between goes on later", async () => {
  const { scheduleId } = await schedule({ misfire: "all", payload: "x".repeat(250_000) });
  const first = await since(scheduleId, 10);
  const system = service.app.repo;
  expect(await system.schedules.fireNext([], () => {})).toEqual({ scheduleId, fired: 5, skipped: 0 });
  expect((await get(scheduleId)).nextRunAt).toBe(new Date(first + 5 * MINUTE).toISOString());
  const { fired, schedules } = await tick();
  expect([fired, schedules]).toEqual([expect.toBeOneOf([6, 7]), 1]);
  const times = Array.from({ length: 5 + fired }, (_, n) => new Date(first + n * MINUTE).toISOString());
  expect((await published()).toSorted()).toEqual(times);
  expect((await runsOf(scheduleId)).map(({ scheduledFor }) => scheduledFor)).toEqual(times);
});

test("its event reaches who subscribed, with its priority, payload and time", async () => {
  const { aiAgentAddress } = await make.inbox();
  await service.post("/v1/subscriptions", { eventType: "schedule.*", to: { aiAgentAddress } });
  const { scheduleId } = await schedule({ payload: { depth: 2 }, priority: "HIGH", name: "nightly" });
  const at = new Date(await since(scheduleId, 0)).toISOString();
  await tick();
  const { messages } = (await service.post(`/v1/agent-inboxes/${aiAgentAddress}/messages/pull`, {})).body;
  expect(messages).toMatchObject([
    {
      priority: "HIGH",
      payload: { source: `/v1/schedules/${scheduleId}`, subject: "nightly", time: at, id: at, data: { depth: 2 } },
    },
  ]);
});
